// Keeps listed properties (dotted paths too) from leaving; the list is read once.
export function setupPlugin({ config, global }) {
  if (!config.properties) {
    throw new Error('No properties to filter were given')
  }
  global.paths = config.properties.split(',').map((path) => path.trim())
}

function removePath(holder, [head, ...rest]) {
  if (!holder || typeof holder !== 'object' || !(head in holder)) return
  if (rest.length === 0) {
    delete holder[head]
  } else {
    removePath(holder[head], rest)
  }
}

export async function processEvent(event, { global }) {
  for (const path of global.paths) {
    if (path === '$ip') delete event.ip
    removePath(event.properties, path.split('.'))
  }
  return event
}
