const isEmpty = v => v === null || v === undefined || v === ''

const clean = obj => {
  if (Array.isArray(obj)) return obj.filter(v => !isEmpty(v)).map(clean)
  if (typeof obj !== 'object') return obj
  const out = {}
  for (const k in obj) if (!isEmpty(obj[k])) out[k] = clean(obj[k])
  return out
}

export const transformEvent = (event) => ({ ...event, properties: clean(event.properties || {}) })
