import { isObject } from "../../shared/secret-fields.ts";

/** One value that differs; null stands for "not there". */
export interface ConfigChange {
  /** Such as `destinations.hook.url`; empty for the whole team. */
  path: string;
  before: unknown;
  after: unknown;
}

/** What differs between two versions of a team, by the smallest values that differ. Lists of things with ids are compared by id. */
export function diffConfig(before: unknown, after: unknown, path = ""): ConfigChange[] {
  if (JSON.stringify(before) === JSON.stringify(after)) return [];
  const [left, right] = [named(before), named(after)];
  if (left === null || right === null) return [{ path, before: before ?? null, after: after ?? null }];
  const changes = [...new Set([...left.keys(), ...right.keys()])].flatMap((key) =>
    diffConfig(left.get(key), right.get(key), path === "" ? key : `${path}.${key}`),
  );
  if (!Array.isArray(before)) return changes;
  // For scripts another order is a change; for the keys of an object it is none.
  const orders = [left, right].map((side) => [...side.keys()].filter((key) => left.has(key) && right.has(key)));
  if (JSON.stringify(orders[0]) !== JSON.stringify(orders[1])) {
    changes.push({ path, before: [...left.keys()], after: [...right.keys()] });
  }
  return changes;
}

/** The parts of an object, or of a list of objects with ids; null for anything else. */
function named(value: unknown): Map<string, unknown> | null {
  if (isObject(value)) return new Map(Object.entries(value));
  if (!Array.isArray(value) || !value.every((item) => isObject(item) && typeof item.id === "string")) return null;
  return new Map(value.map((item: { id: string }) => [item.id, item]));
}
