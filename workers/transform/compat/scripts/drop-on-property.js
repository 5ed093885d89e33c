// Old style: batches.
const shouldDrop = (event, key, values) => {
  if (!event.properties || !(key in event.properties)) return false;
  return values.length === 0 || values.includes(String(event.properties[key]));
};

export async function processEventBatch(events, { config }) {
  const values = config.property_values ? config.property_values.split(",") : [];
  return events.filter((event) => !shouldDrop(event, config.property_key, values));
}
