/** `headwater:object`: new objects out of old ones. None of these changes what it is given. */

/** Deeper values stay as they are: names would grow with every level. */
const FLATTEN_MAX_DEPTH_COUNT = 32;
/** Deeper values stay as they are: the stack ends somewhere. */
const NULLS_MAX_DEPTH_COUNT = 500;

export type Plain = Record<string, unknown>;

export interface FlattenOptions {
  /** Between the names of two levels. Default: `.` */
  separator?: string;
  /** Whether arrays are taken apart too, by index. Default: false */
  arrays?: boolean;
  /** Levels to go down, 32 at most. Default: 32 */
  depth?: number;
}

/** `{ a: { b: 1 } }` → `{ "a.b": 1 }`. Empty objects and arrays stay. */
export function flatten(value: Plain, options: FlattenOptions = {}): Plain {
  const { separator = ".", arrays = false, depth = FLATTEN_MAX_DEPTH_COUNT } = options;
  const deepest = Math.min(depth, FLATTEN_MAX_DEPTH_COUNT);
  const found: [string, unknown][] = [];
  const walk = (name: string, inner: unknown, level: number) => {
    const entries =
      level < deepest && (isPlain(inner) || (arrays && Array.isArray(inner))) ? Object.entries(inner) : [];
    if (entries.length === 0) found.push([name, inner]);
    for (const [key, next] of entries) walk(name + separator + key, next, level + 1);
  };
  for (const [key, inner] of Object.entries(value)) walk(key, inner, 1);
  return Object.fromEntries(found);
}

export interface RemoveNullsOptions {
  /** Empty texts go too. Default: false */
  emptyTexts?: boolean;
  /** Objects and arrays go that are empty, or become it. Default: false */
  emptyObjects?: boolean;
}

/** Without null and undefined, at every level. In arrays the later ones move up. */
export function removeNulls<T>(value: T, options: RemoveNullsOptions = {}): T {
  return cleaned(value, options, 0) as T;
}

/** Only these names. */
export function pick(value: Plain, names: readonly string[]): Plain {
  return Object.fromEntries(names.filter((name) => Object.hasOwn(value, name)).map((name) => [name, value[name]]));
}

/** All but these names. */
export function omit(value: Plain, names: readonly string[]): Plain {
  const gone = new Set(names);
  return Object.fromEntries(Object.entries(value).filter(([name]) => !gone.has(name)));
}

/** Old names → new names; the others stay. Where two meet, the renamed one wins. */
export function rename(value: Plain, names: Readonly<Record<string, string>>): Plain {
  const isRenamed = (name: string) => Object.hasOwn(names, name);
  const entries = Object.entries(value);
  return Object.fromEntries([
    ...entries.filter(([name]) => !isRenamed(name)),
    ...entries.filter(([name]) => isRenamed(name)).map(([name, inner]) => [names[name] as string, inner] as const),
  ]);
}

/** Each name as `change` gives it back; null leaves it out. */
export function mapKeys(value: Plain, change: (name: string, value: unknown) => string | null): Plain {
  return Object.fromEntries(
    Object.entries(value).flatMap(([name, inner]): [string, unknown][] => {
      const changed = change(name, inner);
      return changed === null ? [] : [[changed, inner]];
    }),
  );
}

/** Each value as `change` gives it back. */
export function mapValues(value: Plain, change: (value: unknown, name: string) => unknown): Plain {
  return Object.fromEntries(Object.entries(value).map(([name, inner]) => [name, change(inner, name)]));
}

function cleaned(value: unknown, options: RemoveNullsOptions, depth: number): unknown {
  if (depth >= NULLS_MAX_DEPTH_COUNT) return value;
  const isKept = (inner: unknown) =>
    inner !== null &&
    inner !== undefined &&
    !(options.emptyTexts === true && inner === "") &&
    !(options.emptyObjects === true && isEmpty(inner));
  if (Array.isArray(value)) return value.map((inner) => cleaned(inner, options, depth + 1)).filter(isKept);
  if (!isPlain(value)) return value;
  const entries = Object.entries(value).map(([name, inner]) => [name, cleaned(inner, options, depth + 1)] as const);
  return Object.fromEntries(entries.filter(([, inner]) => isKept(inner)));
}

function isEmpty(value: unknown): boolean {
  return (isPlain(value) || Array.isArray(value)) && Object.keys(value).length === 0;
}

function isPlain(value: unknown): value is Plain {
  if (value === null || typeof value !== "object") return false;
  const prototype: unknown = Object.getPrototypeOf(value);
  return prototype === Object.prototype || prototype === null;
}
