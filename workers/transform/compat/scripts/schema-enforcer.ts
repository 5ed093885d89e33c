import { PluginEvent, PluginMeta } from '@posthog/plugin-scaffold'

interface Rule { type: 'string' | 'number' | 'boolean'; required?: boolean }
type Schema = { [event: string]: { [property: string]: Rule } }
interface Meta extends PluginMeta { config: { schema: string; violations: 'drop' | 'mark' }; global: { schema: Schema } }

export function setupPlugin(meta: Meta): void {
  try {
    meta.global.schema = JSON.parse(meta.config.schema) as Schema
  } catch (e) {
    throw new Error(`Schema is not valid JSON: ${(e as Error).message}`)
  }
}

export function processEvent(event: PluginEvent, { config, global }: Meta): PluginEvent | null {
  const rules = global.schema[event.event]
  if (!rules) return event
  const violations: string[] = []
  for (const [property, rule] of Object.entries(rules)) {
    const value: unknown = event.properties?.[property]
    if (value === undefined) {
      if (rule.required) violations.push(`${property} is missing`)
    } else if (typeof value !== rule.type) violations.push(`${property} is no ${rule.type}`)
  }
  if (violations.length === 0) return event
  if (config.violations === 'drop') return null
  event.properties!['$schema_violations'] = violations
  return event
}
