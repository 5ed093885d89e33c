/**
 * Values inside a destination's settings, by the dotted paths that its kind names in `secrets`. `*` in the place of a name stands for
 * every item of a list: "signing_secrets.*". An item's own path has its position there: "signing_secrets.0".
 */
export type Settings = Record<string, unknown>;

/** The value at `path`; undefined where the path leads nowhere. */
export function valueAt(settings: Settings, path: string): unknown {
  let value: unknown = settings;
  for (const key of path.split(".")) value = childOf(value, key);
  return value;
}

/** The paths that exist in `settings`, each list's items by themselves. */
export function fieldsAt(settings: Settings, paths: readonly string[]): string[] {
  return paths.flatMap((path) => pathsIn(settings, path.split(".")).map((keys) => keys.join(".")));
}

/** Whether `field` is what one of the `paths` names. */
export function isFieldOf(paths: readonly string[], field: string): boolean {
  const keys = field.split(".");
  const matches = (pattern: readonly string[]) =>
    pattern.length === keys.length &&
    pattern.every((name, i) => (name === EACH ? INDEX.test(keys[i] as string) : name === keys[i]));
  return paths.some((path) => matches(path.split(".")));
}

/** A copy with the values that exist at `paths` replaced by what `replace` returns; undefined leaves the field, or the item, out. */
export function mapFields(
  settings: Settings,
  paths: readonly string[],
  replace: (value: unknown, path: string) => unknown,
): Settings {
  let result = settings;
  // The last item first, so that those before it keep their positions.
  for (const path of fieldsAt(settings, paths).reverse()) {
    result = withValue(result, path.split("."), replace(valueAt(result, path), path)) as Settings;
  }
  return result;
}

/** Writes `value` at `path` in place, with objects on the way where there are none. */
export function setField(settings: Settings, path: string, value: unknown): void {
  const keys = path.split(".");
  const last = keys.pop() as string;
  let holder = settings;
  for (const key of keys) {
    holder[key] ??= {};
    holder = holder[key] as Settings;
  }
  holder[last] = value;
}

const EACH = "*";
const INDEX = /^\d+$/;

function childOf(value: unknown, key: string): unknown {
  if (Array.isArray(value)) return INDEX.test(key) ? value[Number(key)] : undefined;
  return isObject(value) && Object.hasOwn(value, key) ? value[key] : undefined;
}

function pathsIn(value: unknown, [key, ...rest]: string[]): string[][] {
  if (value === undefined) return [];
  if (key === undefined) return [[]];
  const names = key !== EACH ? [key] : Array.isArray(value) ? value.map((_, i) => String(i)) : [];
  return names.flatMap((name) => pathsIn(childOf(value, name), rest).map((keys) => [name, ...keys]));
}

function withValue(holder: unknown, [key, ...rest]: string[], value: unknown): unknown {
  const next = rest.length === 0 ? value : withValue(childOf(holder, key as string), rest, value);
  if (Array.isArray(holder)) {
    const at = Number(key);
    return next === undefined ? holder.toSpliced(at, 1) : holder.with(at, next);
  }
  const { [key as string]: _old, ...others } = holder as Settings;
  return next === undefined ? others : { ...(holder as Settings), [key as string]: next };
}

export function isObject(value: unknown): value is Record<string, unknown> {
  return typeof value === "object" && value !== null && !Array.isArray(value);
}
