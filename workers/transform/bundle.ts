import { sha256Hex } from "../../shared/sha256-hex.ts";
import type { Bundle } from "../../shared/snapshot.ts";

/** SHA-256, hex, over everything of a bundle but its hash. Keys are sorted, so equal content has an equal hash. */
export async function bundleHash(bundle: Omit<Bundle, "hash">): Promise<string> {
  const { team, scripts, filters, shapers, modules, libraries } = bundle;
  const text = JSON.stringify({ team, scripts, filters, shapers, modules, libraries }, (_, value: unknown) =>
    sorted(value),
  );
  return sha256Hex(new TextEncoder().encode(text));
}

function sorted(value: unknown): unknown {
  if (value === null || typeof value !== "object" || Array.isArray(value)) return value;
  return Object.fromEntries(Object.entries(value).sort(([a], [b]) => (a < b ? -1 : 1)));
}
