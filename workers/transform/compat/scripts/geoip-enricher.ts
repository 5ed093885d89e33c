import type { PluginEvent, PluginMeta, Plugin } from '@posthog/plugin-scaffold'

const plugin: Plugin = {
  async processEvent(event: PluginEvent, { geoip }: PluginMeta<any>) {
    if (!geoip) throw new Error('This PostHog version does not have GeoIP capabilities!')
    const ip = event.properties?.$ip || event.ip
    if (!ip || event.properties?.$geoip_disable) return event
    const found = await geoip.locate(ip as string)
    if (!found) return event
    const location: Record<string, any> = {
      city_name: found.city?.names?.en,
      country_name: found.country?.names?.en,
      country_code: found.country?.isoCode,
      continent_name: found.continent?.names?.en,
      continent_code: found.continent?.code,
      latitude: found.location?.latitude,
      longitude: found.location?.longitude,
      time_zone: found.location?.timeZone,
    }
    if (!event.$set) event.$set = {}
    if (!event.$set_once) event.$set_once = {}
    for (const [key, value] of Object.entries(location)) {
      if (value === undefined) continue
      event.properties![`$geoip_${key}`] = value
      event.$set![`$geoip_${key}`] = value
      event.$set_once![`$initial_geoip_${key}`] = value
    }
    return event
  },
}

export default plugin
