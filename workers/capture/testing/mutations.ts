import fc from "fast-check";
import type { WireRequest } from "./posthog-requests.ts";

/** One thing done to the bytes of a body: some changed, a piece left out, doubled, or another put in. */
const bodyMutation = fc.record({
  kind: fc.constantFrom("change", "cut", "double", "insert", "truncate"),
  at: fc.nat(),
  length: fc.integer({ min: 1, max: 40 }),
  bytes: fc.oneof(
    fc.uint8Array({ minLength: 1, maxLength: 8 }),
    fc
      .constantFrom(
        ...['"', "{", "[", "}", "]", ",", ":", "null", "-1", "1e999", '"__proto__":', "\\ud800", "\\u0000"],
        ...["[[[[[[[[", "=", "&data=", "&", "%00", "%ff"],
      )
      .map((text) => new TextEncoder().encode(text)),
  ),
});

type BodyMutation = typeof bodyMutation extends fc.Arbitrary<infer T> ? T : never;

const headerMutation = fc.tuple(
  fc.constantFrom(
    ...["content-type", "content-encoding", "authorization", "posthog-attempt", "posthog-request-id"],
    ...["posthog-request-timestamp", "posthog-sdk-info", "user-agent", "content-length", "webhook-id"],
    ...["x-hub-signature-256", "x-key", "origin", "x-forwarded-for"],
  ),
  fc.constantFrom(
    ...["", "gzip", "br", "lz64", "0", "-1", "application/json", "application/x-www-form-urlencoded", "null"],
    ...["multipart/form-data; boundary=x", "Bearer", "Bearer phc_other", `sha256=${"0".repeat(64)}`],
  ),
);

/** What is done to one request. */
export interface Mutation {
  /** Which of the requests: any number. */
  pick: number;
  changes: BodyMutation[];
  header: readonly [name: string, value: string] | null;
}

export const mutation: fc.Arbitrary<Mutation> = fc.record({
  pick: fc.nat(),
  changes: fc.array(bodyMutation, { minLength: 1, maxLength: 3 }),
  header: fc.oneof({ weight: 4, arbitrary: fc.constant(null) }, { weight: 1, arbitrary: headerMutation }),
});

/** Changes the body; of a request that has none, the query. */
export function mutated(requests: readonly WireRequest[], { pick, changes, header }: Mutation): WireRequest {
  const { path, headers, body } = requests[pick % requests.length] as WireRequest;
  const given = header === null ? headers : { ...headers, [header[0]]: header[1] };
  if (body.length > 0) return { path, headers: given, body: changes.reduce(mutate, body) };
  const [file = "", query = ""] = path.split("?");
  return { path: `${file}?${asQuery(changes.reduce(mutate, new TextEncoder().encode(query)))}`, headers: given, body };
}

function mutate(body: Uint8Array, { kind, at: anywhere, length, bytes }: BodyMutation): Uint8Array {
  const at = anywhere % (body.length + 1);
  const parts = {
    change: [body.subarray(0, at), bytes, body.subarray(at + bytes.length)],
    cut: [body.subarray(0, at), body.subarray(at + length)],
    double: [body.subarray(0, at + length), body.subarray(at)],
    insert: [body.subarray(0, at), bytes, body.subarray(at)],
    truncate: [body.subarray(0, at)],
  }[kind];
  return Uint8Array.from(Buffer.concat(parts ?? []));
}

/** What no client could write into an address is escaped. */
function asQuery(bytes: Uint8Array): string {
  return Buffer.from(bytes)
    .toString("latin1")
    .replaceAll(/[^!$-~]|["<>#\\^`{|}]/g, (byte: string) => `%${byte.charCodeAt(0).toString(16).padStart(2, "0")}`);
}
