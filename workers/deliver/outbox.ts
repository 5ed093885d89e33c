import type { Clock, Random } from "../../shared/clock.ts";
import type {
  Book,
  DeadLetterPage,
  DeadLetterQuery,
  DeadLetterSelection,
  OutboxAppend,
  OutboxAppended,
} from "../../shared/outbox-api.ts";
import { appendRun } from "../../shared/runs.ts";
import type { Sql } from "../../shared/sql.ts";
import { DeadLetterStore, type Replayable } from "./dead-letter-store.ts";
import { DEFAULT_DEAD_LETTER_LIMITS, type DeadLetterLimits, deadLetterPage, overLimit } from "./dead-letters.ts";
import { DEFAULT_BACKLOG_BYTES } from "./destinations/common-settings.ts";
import type { RequestLimits, Sent } from "./destinations/destination.ts";
import type { Cut, EventQueue, Next } from "./event-queue.ts";
import { FreshQueue } from "./fresh-queue.ts";
import { Health } from "./health.ts";
import { type Change, Ledger } from "./ledger.ts";
import { type NewEvents, newEvents, splitEvents } from "./new-events.ts";
import { type Chunk, type Held, OutboxStore } from "./outbox-store.ts";
import { type Reshaped, revivalOf } from "./reshaped.ts";
import type { RetryPolicy } from "./retry.ts";
import { usersDone, usersOf } from "./user-of.ts";
import { UserQueue } from "./user-queue.ts";
import { freshWork, retryWork, settleWork, type Work } from "./work.ts";

/**
 * One destination's durable queue: takes events from lanes, hands them out as requests, and books what became of them.
 *
 * Invariants: 2 (an append is idempotent by (lane, seq)), 5 (every term of the book is counted, `pending` and `dead` by the rows
 * that hold them), 7 (events move as bytes). Every change is one synchronous transaction; the ledger in memory follows the commit.
 *
 * Storage: `chunks` hold what has not been tried, `retries` what has failed, `dead_letters` what will not be tried again, `unshaped`
 * which of these the destination's script failed on. An event is in exactly one of the first three until it is delivered. What is under way is not stored: after a crash it is pending again.
 *
 * It does not send, wait, or know any destination's protocol: drain.ts does.
 */
export interface OutboxDeps {
  sql: Sql;
  clock: Clock;
  random: Random;
  /** A new id, different each time. */
  newId: () => string;
  limits?: Partial<OutboxLimits>;
  /** The team is to be told something (`notices`). Absent: nobody listens. */
  noticed?: () => void;
}

export interface OutboxLimits extends DeadLetterLimits {
  /** Of one stored chunk. */
  maxChunkBytes: number;
}

const DEFAULT_OUTBOX_LIMITS: OutboxLimits = {
  ...DEFAULT_DEAD_LETTER_LIMITS,
  // Half of the largest row that a Durable Object stores.
  maxChunkBytes: 1_000_000,
};

/** A full outbox empties by whole requests; asking sooner than this only costs. */
const FULL_RETRY_MS = 2_000;
/** Dead letters that one step moves: short enough not to hold up an append. */
const STEP_COUNT = 500;
/** Those that one step discards, whose bodies nobody reads. */
const DISCARD_COUNT = 2_000;

/** With more than this in failed requests an outbox that is ordered by user sends nothing but these: all users wait for them. */
const HELD_BACK_MAX_COUNT = 20_000;
const HELD_BACK_MAX_BYTES = 64_000_000;

const DELIVERED: Sent = { outcomes: { result: "delivered" } };
/** What was delivered whole leaves nothing to try again. */
const NO_RETRY: RetryPolicy = { base_ms: 0, max_delay_ms: 0, max_age_ms: 0 };

export interface Identity {
  team: string;
  destination: string;
}

/** Why nothing is sent, and the configuration that it was learnt with: the next one gets a new chance. */
export interface Disabled {
  reason: string;
  fingerprint: string;
}

export class Outbox {
  readonly #deps: OutboxDeps;
  readonly #limits: OutboxLimits;
  readonly #store: OutboxStore;
  readonly #deadLetters: DeadLetterStore;
  readonly #salt: string;
  #ledger: Ledger;
  #fresh: EventQueue;
  /** The same queue where it keeps one order per user. */
  #users: UserQueue | null = null;
  /** Rows of `retries` that are under way. */
  readonly #retriesTaken = new Set<number>();
  #maxBacklogBytes = DEFAULT_BACKLOG_BYTES;
  /** Whether that is the destination's own. */
  #hasBacklogLimit = false;
  /** Copies of what the store holds, read with every request. */
  #identity: Identity | null;
  #disabled: Disabled | null;
  /** Whether a script of the destination's own may have shaped lines that it holds. Once it may, for good: its dead letters stay. */
  #shaped: boolean;
  #health: Health;

  constructor(deps: OutboxDeps) {
    this.#deps = deps;
    this.#limits = { ...DEFAULT_OUTBOX_LIMITS, ...deps.limits };
    this.#store = new OutboxStore(deps.sql);
    this.#deadLetters = new DeadLetterStore(deps.sql);
    this.#salt = this.#store.state("salt") ?? deps.newId();
    if (this.#store.state("salt") === null) this.#store.setState("salt", this.#salt);
    this.#ledger = new Ledger(this.#store);
    this.#fresh = this.#newQueue(false);
    this.#identity = this.#stored("identity");
    this.#disabled = this.#stored("disabled");
    this.#shaped = this.#stored("shaped") ?? false;
    this.#health = this.#readHealth();
  }

  /** Forgets what is in memory and reads the rows again: for when a write has failed. Nothing may be under way. */
  rebuild(): void {
    this.#ledger = new Ledger(this.#store);
    this.#fresh = this.#newQueue(this.isOrderedByUser);
    this.#retriesTaken.clear();
    this.#identity = this.#stored("identity");
    this.#disabled = this.#stored("disabled");
    this.#shaped = this.#stored("shaped") ?? false;
    this.#health = this.#readHealth();
  }

  setBacklogLimit(maxBytes: number): void {
    this.#maxBacklogBytes = maxBytes;
    this.#hasBacklogLimit = true;
  }

  /** Whether it is paused, and since when it fails. */
  get health(): Health {
    return this.#health;
  }

  /** Known before the first append where somebody pauses it. */
  identify(identity: Identity): void {
    if (this.#identity !== null) return;
    this.#store.setState("identity", JSON.stringify(identity));
    this.#identity = identity;
  }

  /** Whose outbox this is; null before the first append. */
  identity(): Identity | null {
    return this.#identity;
  }

  /** @param also written in the same transaction, where the events are taken */
  append(append: OutboxAppend, also = () => {}): OutboxAppended {
    const known = this.#store.through(append.lane);
    if (known !== null && append.after > known) return { status: "gap", through: known };
    const after = known ?? append.after;
    if (append.through <= after) return { status: "stored", through: after };
    const taken = newEvents(append, after);
    const room = this.#maxBacklogBytes - this.pending().bytes;
    if (taken.toSend.bytes > room && taken.toSend.count > 0 && this.pending().count > 0) {
      return { status: "full", through: after, retryAfterMs: FULL_RETRY_MS };
    }
    const { team, destination } = append;
    const shaped = this.#shaped || append.shaped === true;
    const chunks = this.#commit((change) => {
      if (this.#identity === null) this.#store.setState("identity", JSON.stringify({ team, destination }));
      if (shaped !== this.#shaped) this.#store.setState("shaped", "true");
      const stored = this.#insert(taken, change);
      // Not by the seqs between: those in the lane's quarantine are in nobody's share.
      change.accepted += taken.count + taken.dropped + taken.filtered + taken.expired;
      change.emitted += taken.emitted;
      if (append.replay === true) change.replayed += taken.count + taken.dropped + taken.filtered + taken.expired;
      change.filtered += taken.filtered;
      change.dropped += taken.dropped;
      change.expired += taken.expired;
      this.#store.setThrough(append.lane, append.through);
      also();
      return stored;
    });
    this.#identity ??= { team, destination };
    this.#shaped = shaped;
    for (const chunk of chunks) this.#fresh.offer(chunk);
    if (taken.dead.size > 0) while (this.trimDeadLetters());
    return { status: "stored", through: append.through };
  }

  pending(): { count: number; bytes: number } {
    const { fresh, retrying, freshBytes, retryBytes } = this.#ledger.held;
    return { count: fresh + retrying, bytes: freshBytes + retryBytes };
  }

  /** When the oldest fresh event that is not under way came in. */
  oldestWaitingAt(): number | null {
    return this.#ledger.held.fresh === this.#fresh.claimed.count ? null : this.#fresh.oldestAt();
  }

  /** Whether each user's events are in an order of their own. */
  get isOrderedByUser(): boolean {
    return this.#users !== null;
  }

  /** Nothing may be under way. */
  orderByUser(isOrderedByUser: boolean): void {
    this.#fresh = this.#newQueue(isOrderedByUser);
  }

  /** The fresh events that a request could be made of now. */
  next(limits: RequestLimits): Next {
    const { retrying, retryBytes } = this.#ledger.held;
    if (this.#users !== null && (retrying > HELD_BACK_MAX_COUNT || retryBytes > HELD_BACK_MAX_BYTES)) {
      return { count: 0, bytes: 0, oldestAt: null, alone: false };
    }
    return this.#fresh.next(this.#cutLimits(limits));
  }

  /** The failed request that comes next, unless all are under way. In order: the one that failed first. */
  nextRetry(inOrder: boolean): { id: number; nextAt: number } | null {
    return this.#retryHead(inOrder ? "id" : "due");
  }

  takeFresh(limits: RequestLimits): Work | null {
    const cut = this.#fresh.cut(this.#cutLimits(limits));
    if (cut === null) return null;
    return limits.fixedCut === true ? this.#fixed(cut) : freshWork(cut, this.#shaped);
  }

  /** Written down as a request that is tried now: it stays this request whatever happens. */
  #fixed(cut: Cut): Work {
    const { id: requestId, acceptedAt, count, bytes, events } = cut;
    const tokens: [string, number][] = [];
    for (const token of cut.tokens) appendRun(tokens, token, 1);
    const retryId = this.#commit((change) => {
      this.#fresh.settle(cut);
      change.fresh -= count;
      change.freshBytes -= bytes;
      change.retrying += count;
      change.retryBytes += bytes;
      change.retryRows += 1;
      const untried = { nextAt: this.#deps.clock.now(), attempt: 0, reason: "", status: null, response: null };
      return this.#store.insertRetry({ ...untried, acceptedAt, count, bytes, requestId, tokens, events });
    });
    this.#retriesTaken.add(retryId);
    return { ...freshWork(cut, this.#shaped), cut: null, retryId };
  }

  takeRetry(id: number): Work {
    this.#retriesTaken.add(id);
    return retryWork(this.#store.retry(id), this.#shaped);
  }

  /** When the oldest pending event was taken, under way or not. */
  oldestPendingAt(): number | null {
    const times = [this.#store.acceptedAfter(0), this.#store.retryHeads("age", 1)[0]?.acceptedAt ?? null];
    const set = times.filter((at) => at !== null);
    return set.length === 0 ? null : Math.min(...set);
  }

  /** When the oldest event that is not under way was taken. */
  oldestAt(): number | null {
    const times = [this.oldestWaitingAt(), this.#retryHead("age")?.acceptedAt ?? null].filter((at) => at !== null);
    return times.length === 0 ? null : Math.min(...times);
  }

  /** Turns events that came before `before` into dead letters, a bounded number; false when there are none (left). */
  expire(before: number, reason: string): boolean {
    const work = this.#takeOlder(before);
    if (work === null) return false;
    const last = work.last === null ? "it was never tried" : `the last answer was: ${work.last.reason}`;
    const answer = {
      reason: `${reason}; ${last}`,
      ...(work.last?.status == null ? {} : { status: work.last.status }),
      ...(work.last?.response == null ? {} : { response: work.last.response }),
    };
    this.#settle(work, { outcomes: { result: "dead", ...answer } }, null);
    return true;
  }

  /** Books what became of a request that was sent. Returns when its rest comes again; null without one. */
  settle(work: Work, sent: Sent, policy: RetryPolicy): number | null {
    return this.#settle(work, sent, policy);
  }

  /** Books requests that were delivered whole, all in one transaction. */
  settleDelivered(works: readonly Work[]): void {
    this.#commit((change) => {
      for (const work of works) this.#settleIn(change, work, DELIVERED, NO_RETRY);
    });
    for (const work of works) this.#users?.release(usersDone(work.events, DELIVERED));
  }

  /** Lets go of dead letters beyond their limits, a bounded number; false when there are none (left). */
  trimDeadLetters(): boolean {
    const { held } = this.#ledger;
    if (held.dead === 0) return false;
    const now = this.#deps.clock.now();
    const over = (count: number) => {
      const oldest = this.#deadLetters.oldest(count);
      return oldest.slice(0, overLimit(oldest, held, this.#limits, now));
    };
    // Mostly the oldest one may stay, and with it all others.
    if (over(1).length === 0) return false;
    const gone = over(STEP_COUNT);
    this.#commit((change) => {
      this.#deadLetters.delete(gone.map(({ id }) => id));
      change.dead -= gone.length;
      change.deadBytes -= gone.reduce((sum, { bytes }) => sum + bytes, 0);
      change.expired += gone.length;
    });
    return true;
  }

  deadLetters(query: DeadLetterQuery): DeadLetterPage {
    return deadLetterPage(this.#deadLetters, query);
  }

  /** The last dead letter there is: what a replay stops at, so that it does not chase those that die again. */
  lastDeadLetter(): number {
    return this.#deadLetters.lastId();
  }

  /**
   * Dead letters of (after, through] that can be sent again, a bounded number, all of them unshaped or none; those too large to have
   * been kept are left out.
   */
  replayable(selection: DeadLetterSelection, after: number, through: number, maxEvents: number): Replayable[] {
    const limits = { maxEvents, maxBytes: this.#limits.maxChunkBytes };
    return this.#deadLetters.replayable(selection, { after, through }, limits);
  }

  /** How many dead letters these are. */
  countDeadLetters(selection: DeadLetterSelection): number {
    return this.#deadLetters.count(selection);
  }

  /**
   * Makes of dead letters what they become, pending with a new age. Returns how many are none any more; null where there is no room.
   * `also` is written in the same transaction, and is told the same number.
   */
  revive(letters: readonly Replayable[], made: Reshaped, also: (revived: number) => void): number | null {
    const revival = revivalOf(letters, made, this.#deadLetters.present(letters.map(({ id }) => id)));
    const { bytes, revived, failed, dropped, emitted } = revival;
    if (this.pending().count > 0 && this.pending().bytes + bytes > this.#maxBacklogBytes) return null;
    const shaped = this.#shaped || letters.some(({ unshaped }) => unshaped);
    const chunks = this.#commit((change) => {
      if (shaped !== this.#shaped) this.#store.setState("shaped", "true");
      const now = this.#deps.clock.now();
      for (const { id, message } of failed) this.#deadLetters.setReason(id, message, now);
      this.#deadLetters.delete(revived.map(({ id }) => id));
      change.dead -= revived.length;
      change.deadBytes -= revived.reduce((sum, letter) => sum + letter.bytes, 0);
      change.accepted += emitted;
      change.emitted += emitted;
      change.dropped += dropped;
      also(revived.length);
      return this.#insert({ ...revival, dead: new Map() }, change);
    });
    this.#shaped = shaped;
    for (const chunk of chunks) this.#fresh.offer(chunk);
    return revived.length;
  }

  /** Another outbox has taken these. Returns how many were still here; `also` is written in the same transaction, and is told too. */
  movedAway(letters: readonly Replayable[], also: (moved: number) => void): number {
    const present = this.#deadLetters.present(letters.map(({ id }) => id));
    const gone = letters.filter(({ id }) => present.has(id));
    this.#commit((change) => {
      this.#endDeadLetters(gone, change);
      change.moved += gone.length;
      also(gone.length);
    });
    return gone.length;
  }

  /** Ends selected dead letters of (after, through], a bounded number. Null: there are none. */
  discard(
    selection: DeadLetterSelection,
    after: number,
    through: number,
  ): { discarded: number; through: number } | null {
    const gone = this.#deadLetters.weights(selection, { after, through }, DISCARD_COUNT);
    const last = gone.at(-1);
    if (last === undefined) return null;
    this.#commit((change) => {
      this.#endDeadLetters(gone, change);
      change.discarded += gone.length;
    });
    return { discarded: gone.length, through: last.id };
  }

  /** Whether lines may be requests that the destination's script has shaped. */
  get isShaped(): boolean {
    return this.#shaped;
  }

  /** By hand, one way or the other: they count as dropped. */
  #endDeadLetters(gone: readonly { id: number; bytes: number }[], change: Change): void {
    this.#deadLetters.delete(gone.map(({ id }) => id));
    change.dead -= gone.length;
    change.deadBytes -= gone.reduce((sum, { bytes }) => sum + bytes, 0);
    change.dropped += gone.length;
  }

  book(): Book {
    const { accepted, delivered, filtered, dropped, expired } = this.#ledger.totals;
    return {
      accepted,
      delivered,
      filtered,
      dropped,
      dead: this.#ledger.held.dead,
      expired,
      pending: this.pending().count,
    };
  }

  figures() {
    const { emitted, replayed, discarded, moved, attempts } = this.#ledger.totals;
    return {
      ...{ emitted, replayed, discarded, moved, attempts },
      ...{ lanes: this.#store.lanes(), pendingBytes: this.pending().bytes, maxPendingBytes: this.#maxBacklogBytes },
      ...{ paused: this.#health.paused, failingSince: this.#health.failingSince },
    };
  }

  /** What the team is still to be told, oldest first. */
  notices(limit: number): { id: number; body: string }[] {
    return this.#store.notices(limit);
  }

  /** Those up to `through` have been told, or nobody wants to know. */
  forgetNotices(through: number): void {
    this.#store.deleteNotices(through);
  }

  /** What the rows hold, counted anew: equal to what is kept in memory, or the books are wrong. */
  counted(): Held {
    return this.#store.held();
  }

  /** The reason for which nothing is sent, and the configuration that it was learnt with. */
  disabled(): Disabled | null {
    return this.#disabled;
  }

  setDisabled(disabled: Disabled | null): void {
    this.#store.setState("disabled", disabled === null ? null : JSON.stringify(disabled));
    this.#disabled = disabled;
    if (disabled !== null) this.#health.disabled(disabled.reason);
  }

  /** Writes what came in; inside a transaction. */
  #insert(taken: Pick<NewEvents, "events" | "starts" | "tokens" | "count" | "dead">, change: Change): Chunk[] {
    const chunks: Chunk[] = [];
    for (const chunk of splitEvents(taken, this.#limits.maxChunkBytes, this.#deps.clock.now())) {
      if ("dead" in chunk) {
        change.dead += 1;
        change.deadBytes += this.#deadLetters.insert(chunk.dead);
        continue;
      }
      chunks.push({ ...chunk, id: this.#store.insertChunk(chunk) });
      change.fresh += chunk.count;
      change.freshBytes += chunk.bytes;
    }
    return chunks;
  }

  #settle(work: Work, sent: Sent, policy: RetryPolicy | null): number | null {
    const nextAt = this.#commit((change) => this.#settleIn(change, work, sent, policy));
    this.#users?.release(usersDone(work.events, sent));
    return nextAt;
  }

  #settleIn(change: Change, work: Work, sent: Sent, policy: RetryPolicy | null): number | null {
    if (work.cut === null) {
      change.retrying -= work.count;
      change.retryBytes -= work.bytes;
    } else {
      this.#fresh.settle(work.cut);
      change.fresh -= work.count;
      change.freshBytes -= work.bytes;
    }
    if (policy !== null) change.attempts += 1;
    const now = this.#deps.clock.now();
    const deps = { store: this.#store, deadLetters: this.#deadLetters, random: this.#deps.random, now, policy };
    const nextAt = settleWork(work, sent, deps, change);
    if (work.retryId !== null) this.#retriesTaken.delete(work.retryId);
    return nextAt;
  }

  #cutLimits(limits: RequestLimits): RequestLimits {
    return { ...limits, shapedAlone: this.#shaped && limits.shapedAlone === true };
  }

  #newQueue(isOrderedByUser: boolean): EventQueue {
    this.#users = isOrderedByUser ? new UserQueue(this.#store, this.#salt, this.#heldBack()) : null;
    if (this.#users !== null) return this.#users;
    return new FreshQueue(this.#store, this.#salt, () => {
      const { fresh, freshBytes } = this.#ledger.held;
      return { count: fresh, bytes: freshBytes };
    });
  }

  /** The users of every failed request. */
  *#heldBack(): Generator<string> {
    for (const { id } of this.#store.retryHeads("id", this.#ledger.held.retryRows)) {
      yield* new Set(usersOf(this.#store.retry(id).events));
    }
  }

  #takeOlder(before: number): Work | null {
    const retry = this.#retryHead("age");
    if (retry !== null && retry.acceptedAt <= before) return this.takeRetry(retry.id);
    const waitingSince = this.oldestWaitingAt();
    if (waitingSince === null || waitingSince > before) return null;
    const cut = this.#fresh.cut({ maxEvents: STEP_COUNT, maxBytes: this.#limits.maxChunkBytes }, before);
    return cut === null ? null : freshWork(cut, this.#shaped);
  }

  #retryHead(order: "due" | "age" | "id") {
    if (this.#ledger.held.retryRows === this.#retriesTaken.size) return null;
    const heads = this.#store.retryHeads(order, this.#retriesTaken.size + 1);
    return heads.find(({ id }) => !this.#retriesTaken.has(id)) ?? null;
  }

  #stored<T>(key: string): T | null {
    const value = this.#store.state(key);
    return value === null ? null : JSON.parse(value);
  }

  #commit<T>(body: (change: Change) => T): T {
    const result = this.#ledger.commit(body);
    const { dead, freshBytes, retryBytes } = this.#ledger.held;
    const maxPendingBytes = this.#hasBacklogLimit ? this.#maxBacklogBytes : null;
    this.#health.observe({ dead, pendingBytes: freshBytes + retryBytes, maxPendingBytes });
    return result;
  }

  #readHealth(): Health {
    const { clock, noticed = () => {} } = this.#deps;
    return new Health({ clock, store: this.#store, noticed }, this.#ledger.held.dead);
  }
}
