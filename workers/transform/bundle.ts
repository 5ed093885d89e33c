import type { Bundle } from "../../shared/snapshot.ts";

/** SHA-256, hex, over everything of a bundle but its hash. Keys are sorted, so equal content has an equal hash. */
export async function bundleHash(bundle: Omit<Bundle, "hash">): Promise<string> {
  const { team, scripts, filters, shapers, modules, libraries } = bundle;
  const text = JSON.stringify({ team, scripts, filters, shapers, modules, libraries }, (_, value: unknown) =>
    sorted(value),
  );
  const digest = await crypto.subtle.digest("SHA-256", new TextEncoder().encode(text));
  return Array.from(new Uint8Array(digest), (byte) => byte.toString(16).padStart(2, "0")).join("");
}

function sorted(value: unknown): unknown {
  if (value === null || typeof value !== "object" || Array.isArray(value)) return value;
  return Object.fromEntries(Object.entries(value).sort(([a], [b]) => (a < b ? -1 : 1)));
}
