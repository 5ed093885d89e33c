import { NestingError } from "../errors.ts";
import { isObject, type JsonObject } from "./json-object.ts";

const CHARACTERS = 200;

/**
 * What clients give as a user's id, as the text that it is from here on; empty where it names nobody. Numbers, lists and objects
 * become compact JSON, because clients send them. Surrounding whitespace is part of the id.
 */
export function distinctIdText(given: unknown, nestingLevels: number): string {
  if (given == null) return "";
  const text = typeof given === "string" ? given : compactJson(given, nestingLevels);
  if (text.trim() === "") return "";
  return firstCharacters(text.includes("\0") ? text.replaceAll("\0", "\ufffd") : text, CHARACTERS);
}

/** Keys are sorted, so that one object is one user in whatever order a client writes it. */
function compactJson(value: unknown, nestingLevels: number): string {
  try {
    return JSON.stringify(value, (_key, inner: unknown) => (isObject(inner) ? sortedByKey(inner) : inner));
  } catch (error) {
    if (error instanceof RangeError) throw new NestingError(nestingLevels);
    throw error;
  }
}

/** Object.fromEntries makes own properties of all keys, `__proto__` too. */
function sortedByKey(object: JsonObject): JsonObject {
  return Object.fromEntries(Object.entries(object).sort(([a], [b]) => (a < b ? -1 : 1)));
}

/** Characters, not UTF-16 units: a cut never goes through the middle of one. */
function firstCharacters(text: string, count: number): string {
  if (text.length <= count) return text;
  let units = 0;
  for (let taken = 0; taken < count && units < text.length; taken++) {
    units += (text.codePointAt(units) as number) > 0xffff ? 2 : 1;
  }
  return text.slice(0, units);
}
