/** Values inside a destination's settings, by the dotted paths that its kind names in `secrets`. */
export type Settings = Record<string, unknown>;

/** The value at `path`; undefined where the path leads nowhere. */
export function valueAt(settings: Settings, path: string): unknown {
  let value: unknown = settings;
  for (const key of path.split(".")) {
    if (!isObject(value) || !Object.hasOwn(value, key)) return undefined;
    value = value[key];
  }
  return value;
}

/** A copy with the values that exist at `paths` replaced by what `replace` returns; undefined leaves the field out. */
export function mapFields(
  settings: Settings,
  paths: readonly string[],
  replace: (value: unknown, path: string) => unknown,
): Settings {
  let result = settings;
  for (const path of paths) {
    const value = valueAt(result, path);
    if (value !== undefined) result = withValue(result, path.split("."), replace(value, path));
  }
  return result;
}

function withValue(settings: Settings, [key, ...rest]: string[], value: unknown): Settings {
  const { [key as string]: old, ...others } = settings;
  const next = rest.length === 0 ? value : withValue(old as Settings, rest, value);
  if (next === undefined) return others;
  return { ...settings, [key as string]: next };
}

export function isObject(value: unknown): value is Record<string, unknown> {
  return typeof value === "object" && value !== null && !Array.isArray(value);
}
