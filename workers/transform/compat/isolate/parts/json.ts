/** JSON values as scripts of other products hand them around: copied, compared, told apart. */
export type JsonObject = Record<string, unknown>;

const { hasOwn, keys } = Object;
const { isArray } = Array;

export function isObject(value: unknown): value is JsonObject {
  return typeof value === "object" && value !== null && !isArray(value);
}

export function has(object: JsonObject, key: string): boolean {
  return hasOwn(object, key);
}

/** A copy that shares nothing. A key of any name, `__proto__` too, stays a key. */
export function clone<T>(value: T): T {
  if (typeof value !== "object" || value === null) return value;
  if (isArray(value)) return value.map(clone) as T;
  const copy = { ...value } as JsonObject;
  for (const key of keys(copy)) {
    const inner = copy[key];
    if (typeof inner === "object" && inner !== null) copy[key] = clone(inner);
  }
  return copy as T;
}

/** Equal as JSON, but for the order of keys. */
export function isEqual(a: unknown, b: unknown): boolean {
  if (a === b) return true;
  if (typeof a !== "object" || typeof b !== "object" || a === null || b === null) return false;
  if (isArray(a) || isArray(b)) {
    return isArray(a) && isArray(b) && a.length === b.length && a.every((item, i) => isEqual(item, b[i]));
  }
  const names = keys(a);
  if (names.length !== keys(b).length) return false;
  return names.every((name) => hasOwn(b, name) && isEqual((a as JsonObject)[name], (b as JsonObject)[name]));
}

/** Sets an own key, also one that an object inherits a setter for. */
export function put(object: JsonObject, key: string, value: unknown): void {
  if (key === "__proto__")
    Object.defineProperty(object, key, { value, enumerable: true, configurable: true, writable: true });
  else object[key] = value;
}
