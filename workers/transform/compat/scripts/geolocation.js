export async function transformEvent(event, metadata) {
  if (!event.request_ip) return event;
  try {
    const place = await geolocation(event.request_ip);
    event.context.geo = place;
    event.properties.country = place.country;
  } catch (e) {
    log(e.message);
  }
  return event;
}
