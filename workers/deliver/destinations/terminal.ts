import { z } from "zod";
import { decodeLines } from "../../../shared/ndjson.ts";
import { commonSettings } from "./common-settings.ts";
import type { DestinationKind, OutboundRequest, SendDeps, Sent } from "./destination.ts";

/** Prints every event as one line, or what the destination's script shaped: the destination of the example configuration. */
const settings = z.strictObject({ ...commonSettings });

export type TerminalSettings = z.infer<typeof settings>;

export const terminal: DestinationKind<TerminalSettings> = {
  kind: "terminal",
  settings,
  secrets: [],
  ordered: () => true,
  limits: () => ({ maxEvents: 100, maxBytes: 1_000_000, maxWaitMs: 0, concurrency: 1, timeoutMs: 10_000 }),
  send,
};

async function send(request: OutboundRequest, _settings: TerminalSettings, deps: SendDeps): Promise<Sent> {
  for (const line of decodeLines(request.events)) deps.print(describe(line));
  return { outcomes: { result: "delivered" } };
}

function describe(line: string): string {
  const event = JSON.parse(line) as Record<string, unknown> | null;
  const { event: name, distinct_id: user, uuid, properties, $request } = event ?? {};
  // JSON escapes control characters, so that an event cannot write escape sequences into somebody's terminal.
  return [name, user, uuid, $request ?? properties ?? {}].map((part) => JSON.stringify(part) ?? "-").join(" ");
}
