import { PluginEvent, PluginMeta } from '@posthog/plugin-scaffold'

enum Device { Mobile = 'Mobile', Desktop = 'Desktop' }

class Populator {
    constructor(private readonly override: boolean, private readonly debug: boolean) {}

    populate(event: PluginEvent): PluginEvent {
        const agent = event.properties?.$useragent
        if (!agent) return event
        if (!this.override && event.properties!.$browser) {
            if (this.debug) console.log('kept the browser of', event.uuid)
            return event
        }
        const chrome = /Chrome\/(\d+)/.exec(agent)
        const firefox = /Firefox\/(\d+)/.exec(agent)
        delete event.properties!.$useragent
        event.properties = {
            ...event.properties,
            $browser: chrome ? 'chrome' : firefox ? 'firefox' : 'unknown',
            $browser_version: (chrome ?? firefox)?.[1],
            $device_type: /Mobile/.test(agent) ? Device.Mobile : Device.Desktop,
        }
        return event
    }
}

export async function setupPlugin({ config, global }: PluginMeta<any>) {
    global.populator = new Populator(config.overrideUserAgentDetails === 'true', config.debugMode === 'true')
}

export async function processEvent(event: PluginEvent, { global }: PluginMeta<any>) {
    return global.populator.populate(event)
}
