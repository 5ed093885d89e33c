/**
 * `headwater:path`: values inside of objects by dotted path, such as `properties.items.0.price`. Only what an object itself holds
 * counts, so no path leads to a prototype.
 */

/** The value, or `fallback` where the path leads nowhere. */
export function getPath(from: unknown, path: string, fallback: unknown = undefined): unknown {
  let value = from;
  for (const key of path.split(".")) {
    if (!holds(value, key)) return fallback;
    value = value[key];
  }
  return value;
}

export function hasPath(from: unknown, path: string): boolean {
  let value = from;
  for (const key of path.split(".")) {
    if (!holds(value, key)) return false;
    value = value[key];
  }
  return true;
}

/**
 * Puts a value there, and makes the objects on the way that are missing. False, and nothing is changed, where something on the way
 * is no object, where an array would get a hole, and for `__proto__`.
 */
export function setPath(into: unknown, path: string, value: unknown): boolean {
  const keys = path.split(".");
  const last = keys.pop() as string;
  if (keys.includes("__proto__") || last === "__proto__") return false;
  let at = into;
  let missing = 0;
  for (const key of keys) {
    if (!holds(at, key)) break;
    at = at[key];
    missing++;
  }
  const rest = keys.slice(missing);
  if (!takes(at, rest[0] ?? last)) return false;
  let made = value;
  for (const key of [...rest.slice(1), last].reverse().slice(rest.length === 0 ? 1 : 0)) made = { [key]: made };
  at[rest[0] ?? last] = made;
  return true;
}

/** Takes the value away; in an array the later ones move up. Whether there was one. */
export function unsetPath(from: unknown, path: string): boolean {
  const keys = path.split(".");
  const last = keys.pop() as string;
  const holder = keys.length === 0 ? from : getPath(from, keys.join("."));
  if (!holds(holder, last)) return false;
  if (Array.isArray(holder)) holder.splice(Number(last), 1);
  else delete holder[last];
  return true;
}

function holds(value: unknown, key: string): value is Record<string, unknown> {
  if (value === null || typeof value !== "object" || !Object.hasOwn(value, key)) return false;
  return !Array.isArray(value) || INDEX.test(key);
}

function takes(value: unknown, key: string): value is Record<string, unknown> {
  if (value === null || typeof value !== "object") return false;
  return !Array.isArray(value) || (INDEX.test(key) && Number(key) <= value.length);
}

const INDEX = /^(0|[1-9]\d{0,9})$/;
