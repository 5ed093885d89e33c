import { sharePoint } from "./share-point.ts";

/**
 * A destination's filter: which events it takes. Conditions look at the event as it is delivered, after the scripts.
 * Several operators in one condition must all hold. Values of different types are never equal, and never greater or less.
 */
export type Filter =
  | { all: Filter[] }
  | { any: Filter[] }
  | { not: Filter }
  | SampleCondition
  | EventCondition
  | PropertyCondition;

/** Keeps this share of users, 0 to 1; a user is always in or always out. */
export interface SampleCondition {
  sample: number;
}

/** On the event's name. */
export interface EventCondition {
  event: Comparison;
}

/** On a property: a name in `properties`, or a dotted path into it (`$set.plan` reads `properties.$set.plan`). */
export type PropertyCondition = { property: string } & Comparison;

export type Scalar = string | number | boolean | null;

export interface Comparison {
  eq?: Scalar | undefined;
  neq?: Scalar | undefined;
  in?: Scalar[] | undefined;
  not_in?: Scalar[] | undefined;
  /** Numbers with numbers; text with text, which orders ISO 8601 dates. */
  gt?: number | string | undefined;
  gte?: number | string | undefined;
  lt?: number | string | undefined;
  lte?: number | string | undefined;
  /** A part of a text, or an element of an array. */
  contains?: Scalar | undefined;
  /** Whether there is a value; null is one. */
  exists?: boolean | undefined;
  /** Whole text, `*` for any run of characters. Not a regular expression: matching takes linear time whatever is written. */
  pattern?: string | undefined;
}

/** What a filter reads of an event. */
export interface Filterable {
  event: string;
  distinct_id: string;
  properties: Record<string, unknown>;
}

export type FilterTest = (event: Filterable) => boolean;

export function compileFilter(filter: Filter): FilterTest {
  if ("all" in filter) {
    const tests = filter.all.map(compileFilter);
    return (event) => tests.every((test) => test(event));
  }
  if ("any" in filter) {
    const tests = filter.any.map(compileFilter);
    return (event) => tests.some((test) => test(event));
  }
  if ("not" in filter) {
    const test = compileFilter(filter.not);
    return (event) => !test(event);
  }
  if ("sample" in filter) {
    const { sample } = filter;
    return (event) => sharePoint(event.distinct_id) < sample;
  }
  if ("property" in filter) {
    const { property, ...comparison } = filter;
    const holds = compileComparison(comparison);
    const path = property.split(".");
    return (event) => holds(valueAt(event.properties, property, path));
  }
  const holds = compileComparison(filter.event);
  return (event) => holds(event.event);
}

type Holds = (value: unknown) => boolean;

const operators: { [K in keyof Comparison]-?: (operand: NonNullable<Comparison[K]> | null) => Holds } = {
  eq: (operand) => (value) => value === operand,
  neq: (operand) => (value) => value !== operand,
  in: (operand) => {
    const set = new Set<unknown>(operand);
    return (value) => set.has(value);
  },
  not_in: (operand) => {
    const set = new Set<unknown>(operand);
    return (value) => !set.has(value);
  },
  gt: ordered((value, operand) => value > operand),
  gte: ordered((value, operand) => value >= operand),
  lt: ordered((value, operand) => value < operand),
  lte: ordered((value, operand) => value <= operand),
  contains: (operand) => (value) =>
    typeof value === "string"
      ? typeof operand === "string" && value.includes(operand)
      : Array.isArray(value) && value.includes(operand),
  exists: (operand) => (value) => (value !== undefined) === operand,
  pattern: (operand) => compilePattern(operand ?? ""),
};

function compileComparison(comparison: Comparison): Holds {
  const tests: Holds[] = [];
  for (const [name, operand] of Object.entries(comparison)) {
    if (operand === undefined) continue;
    const operator = operators[name as keyof Comparison] as ((operand: unknown) => Holds) | undefined;
    if (operator === undefined) throw new Error(`unknown filter operator "${name}"`);
    tests.push(operator(operand));
  }
  const [only] = tests;
  if (only !== undefined && tests.length === 1) return only;
  return (value) => tests.every((test) => test(value));
}

/** Compares values of the operand's own type only. */
function ordered(compare: (value: string | number, operand: string | number) => boolean) {
  return (operand: string | number | null): Holds =>
    operand === null
      ? () => false
      : (value) => typeof value === typeof operand && compare(value as string | number, operand);
}

/** Whether a value is the whole pattern. Matches the pieces between stars from left to right: the earliest place is always good enough, so nothing is tried twice. */
export function compilePattern(pattern: string): (value: unknown) => boolean {
  const pieces = pattern.split("*");
  const first = pieces[0] as string;
  if (pieces.length === 1) return (value) => value === first;
  const last = pieces.at(-1) as string;
  const middle = pieces.slice(1, -1).filter((piece) => piece !== "");
  return (value) => {
    if (typeof value !== "string" || !value.startsWith(first)) return false;
    let at = first.length;
    for (const piece of middle) {
      const found = value.indexOf(piece, at);
      if (found === -1) return false;
      at = found + piece.length;
    }
    return value.length - last.length >= at && value.endsWith(last);
  };
}

/** The value under the whole name first, because property names may hold dots, then along the path. Inherited names do not count. */
function valueAt(properties: Record<string, unknown>, name: string, path: readonly string[]): unknown {
  if (Object.hasOwn(properties, name)) return asDelivered(properties[name]);
  if (path.length === 1) return undefined;
  let value: unknown = properties;
  for (const key of path) {
    if (value === null || typeof value !== "object" || !Object.hasOwn(value, key)) return undefined;
    value = (value as Record<string, unknown>)[key];
  }
  return asDelivered(value);
}

/** A script may leave a Date where the delivered JSON will have a text. */
function asDelivered(value: unknown): unknown {
  return value instanceof Date ? value.toJSON() : value;
}
