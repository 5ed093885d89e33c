import { Plugin, PluginEvent, PluginMeta } from '@posthog/plugin-scaffold'

type UrlPlugin = Plugin<{ config: Record<string, string> }>

const URL_FIELDS: readonly string[] = ['$current_url', '$referrer']

function normalise(url: string): string {
    try {
        const parsed = new URL(url.toLowerCase())
        parsed.pathname = parsed.pathname.replace(/\/+$/, '')
        return parsed.toString().replace(/\/$/, '')
    } catch {
        console.error(`not a url: ${url}`)
        return url
    }
}

export const processEvent: UrlPlugin['processEvent'] = (event: PluginEvent, _meta: PluginMeta): PluginEvent => {
    for (const field of URL_FIELDS) {
        const value = event.properties?.[field]
        if (typeof value === 'string' && value !== '$direct') {
            event.properties![field] = normalise(value)
        }
    }
    return event
}
