import type { Random } from "../../shared/clock.ts";
import { concatLines, lineStarts, sliceLines } from "../../shared/ndjson.ts";
import { appendRun, expandRuns } from "../../shared/runs.ts";
import type { DeadLetterStore } from "./dead-letter-store.ts";
import { namesOf } from "./dead-letters.ts";
import type { Answer, Outcome, Sent } from "./destinations/destination.ts";
import type { Cut } from "./event-queue.ts";
import type { Change } from "./ledger.ts";
import type { LastAnswer, OutboxStore, Retry } from "./outbox-store.ts";
import { nextRetry, type RetryPolicy } from "./retry.ts";

/** Events under way as one request, from the queue or from a failed request. */
export interface Work {
  id: string;
  events: Uint8Array;
  count: number;
  bytes: number;
  tokens: string[];
  /** Whether lines may be shaped events. */
  shaped: boolean;
  acceptedAt: number;
  /** Number of this try, also where it is given up instead. */
  attempt: number;
  /** Exactly one of both. */
  cut: Cut | null;
  retryId: number | null;
  /** What the try before it was answered. */
  last: LastAnswer | null;
}

export function freshWork(cut: Cut, shaped: boolean): Work {
  const { id, events, count, bytes, tokens, acceptedAt } = cut;
  return { id, events, count, bytes, tokens, shaped, acceptedAt, attempt: 1, cut, retryId: null, last: null };
}

export function retryWork(retry: Retry, shaped: boolean): Work {
  const { events, count, bytes, acceptedAt, reason, status, response } = retry;
  return {
    ...{ id: retry.requestId, events, count, bytes, shaped, acceptedAt },
    ...{ tokens: expandRuns(retry.tokens), attempt: retry.attempt + 1, cut: null, retryId: retry.id },
    last: retry.attempt === 0 ? null : { reason, status, response },
  };
}

export interface SettleDeps {
  store: OutboxStore;
  deadLetters: DeadLetterStore;
  random: Random;
  now: number;
  /** Null where the events are given up without a try. */
  policy: RetryPolicy | null;
}

/**
 * Writes where a request's events went; its source in the queue is the caller's. Inside a transaction. Returns when what is left of
 * it comes again.
 */
export function settleWork(work: Work, sent: Sent, deps: SettleDeps, change: Change): number | null {
  const all = Array.isArray(sent.outcomes) ? null : sent.outcomes;
  if (all?.result === "delivered") {
    change.delivered += work.count;
    removeRetry(work, deps.store, change);
    return null;
  }
  const outcomes = all === null ? (sent.outcomes as Outcome[]) : Array<Outcome>(work.count).fill(all);
  if (outcomes.length !== work.count) throw new Error(`${outcomes.length} outcomes for ${work.count} events`);
  const starts = lineStarts(work.events);
  const kept: number[] = [];
  for (const [i, outcome] of outcomes.entries()) {
    if (outcome.result === "delivered") change.delivered += 1;
    else if (outcome.result === "dead") bury(work, sliceLines(work.events, starts, i, i + 1), i, outcome, deps, change);
    else kept.push(i);
  }
  if (kept.length === 0) {
    removeRetry(work, deps.store, change);
    return null;
  }
  return keep(work, kept, outcomes, starts, deps, change);
}

function bury(work: Work, body: Uint8Array, i: number, answer: Answer, deps: SettleDeps, change: Change): void {
  const { reason, status, response } = lastAnswer(answer);
  const token = work.tokens[i] ?? "";
  const attempts = deps.policy === null ? work.attempt - 1 : work.attempt;
  change.dead += 1;
  change.deadBytes += deps.deadLetters.insert({
    ...{ diedAt: deps.now, ...namesOf(body), token, attempts, reason, status, response, body },
  });
}

/** What is to be tried again becomes, or stays, one row of `retries`. */
function keep(
  work: Work,
  kept: readonly number[],
  outcomes: readonly Outcome[],
  starts: readonly number[],
  deps: SettleDeps,
  change: Change,
): number {
  const { store, now, policy } = deps;
  const failed = kept.map((i) => outcomes[i] as Extract<Outcome, { result: "retry" | "disable" }>);
  const asked = Math.max(0, ...failed.map((outcome) => (outcome.result === "retry" ? (outcome.afterMs ?? 0) : 0)));
  const nextAt = policy === null ? now : nextRetry(policy, work.attempt, asked, now, deps.random);
  const part = kept.length === work.count ? work : linesOf(work, kept, starts);
  const last = lastAnswer(failed[0] as Answer);
  const { count, bytes, events } = part;
  const tokens: [string, number][] = [];
  for (const token of part.tokens) appendRun(tokens, token, 1);
  if (work.retryId === null) {
    const { id: requestId, acceptedAt, attempt } = work;
    store.insertRetry({ nextAt, acceptedAt, attempt, count, bytes, requestId, ...last, tokens, events });
    change.retryRows += 1;
  } else {
    store.postponeRetry(work.retryId, work.attempt, nextAt, last);
    if (part !== work) store.shrinkRetry(work.retryId, { count, bytes, tokens, events });
  }
  change.retrying += count;
  change.retryBytes += bytes;
  return nextAt;
}

function linesOf(work: Work, kept: readonly number[], starts: readonly number[]) {
  const events = concatLines(kept.map((i) => sliceLines(work.events, starts, i, i + 1)));
  return { events, count: kept.length, bytes: events.length + 1, tokens: kept.map((i) => work.tokens[i] ?? "") };
}

function removeRetry(work: Work, store: OutboxStore, change: Change): void {
  if (work.retryId === null) return;
  store.deleteRetry(work.retryId);
  change.retryRows -= 1;
}

function lastAnswer({ reason, status, response }: Answer): LastAnswer {
  return { reason, status: status ?? null, response: response ?? null };
}
