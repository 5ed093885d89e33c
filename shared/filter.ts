/** A destination's filter: which events it takes. The language is DESIGN section 8's. */
export type Filter = { all: Filter[] } | { any: Filter[] } | { not: Filter } | EventCondition | PropertyCondition;
export interface EventCondition {
  event: Comparison;
}
export type PropertyCondition = { property: string } & Comparison;
export interface Comparison {
  eq?: unknown;
}
