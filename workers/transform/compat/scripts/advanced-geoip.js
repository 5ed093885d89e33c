export const processEvent = async (event, { config, logger }) => {
  if (!event.properties) return event
  const { discardIp, discardLibs } = config
  const libs = (discardLibs || '').split(',').map((lib) => lib.trim())
  if (libs.includes(event.properties.$lib)) {
    const keep = ([key]) => !key.startsWith('$geoip_')
    event.properties = Object.fromEntries(Object.entries(event.properties).filter(keep))
    if (event.$set) event.$set = Object.fromEntries(Object.entries(event.$set).filter(keep))
    logger.log('discarded what is known of the place of', event.properties.$lib)
  }
  if (discardIp === 'true') {
    event.properties.$ip = undefined
    event.ip = null
  }
  return event
}
