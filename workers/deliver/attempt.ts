import type { Clock } from "../../shared/clock.ts";
import { messageOf } from "../../shared/errors.ts";
import type { Connect, OutboundRequest, Outcome, SendDeps, Sent } from "./destinations/destination.ts";
import type { Kept } from "./kept.ts";
import type { ReadyDestination } from "./outbox-config.ts";
import type { Timers } from "./timers.ts";

export interface AttemptDeps {
  clock: Clock;
  timers: Timers;
  fetch: typeof fetch;
  connect: Connect;
  kept: Kept;
  print: (line: string) => void;
}

/** What a kind gets to tell of its time-out before the attempt ends without it. */
const GRACE_MS = 1_000;

/**
 * One try to deliver one request. Never throws, always ends, and never tells a secret (invariant 8): whatever the kind does, there
 * is one outcome for each event or one for all, with this destination's secrets cut out of it.
 */
export async function attempt(
  destination: ReadyDestination,
  request: OutboundRequest,
  deps: AttemptDeps,
): Promise<Sent> {
  const { kind, settings, secrets } = destination;
  const { timeoutMs } = kind.limits(settings);
  const abort = new AbortController();
  const cancelAbort = deps.timers.after(timeoutMs, () => abort.abort());
  let cancelEnd = () => {};
  const end = new Promise<Sent>((resolve) => {
    const gone: Outcome = { result: "retry", reason: "the attempt did not end in time" };
    cancelEnd = deps.timers.after(timeoutMs + GRACE_MS, () => resolve({ outcomes: gone }));
  });
  const { clock, fetch, connect, kept, print } = deps;
  const sendDeps: SendDeps = { clock, fetch, connect, kept, print, signal: abort.signal };
  try {
    const sent = await Promise.race([kind.send(request, settings, sendDeps), end]);
    return { outcomes: redacted(complete(sent, request.count), secrets) };
  } catch (error) {
    const reason = `Headwater could not send to a destination of kind "${kind.kind}": ${messageOf(error)}`;
    return { outcomes: redacted({ result: "retry", reason }, secrets) };
  } finally {
    cancelAbort();
    cancelEnd();
  }
}

/** A kind that miscounts is a bug; until it is mended nothing is taken for delivered. */
function complete({ outcomes }: Sent, count: number): Outcome[] | Outcome {
  if (!Array.isArray(outcomes) || outcomes.length === count) return outcomes;
  return { result: "retry", reason: `Headwater got ${outcomes.length} results for ${count} events` };
}

function redacted(outcomes: Outcome[] | Outcome, secrets: readonly string[]): Outcome[] | Outcome {
  if (secrets.length === 0) return outcomes;
  return Array.isArray(outcomes) ? outcomes.map((one) => redactOne(one, secrets)) : redactOne(outcomes, secrets);
}

function redactOne(outcome: Outcome, secrets: readonly string[]): Outcome {
  if (outcome.result === "delivered") return outcome;
  const { response } = outcome;
  return {
    ...outcome,
    reason: redact(outcome.reason, secrets),
    ...(response === undefined ? {} : { response: redact(response, secrets) }),
  };
}

function redact(text: string, secrets: readonly string[]): string {
  return secrets.reduce((rest, secret) => rest.replaceAll(secret, "[secret]"), text);
}
