/**
 * The pump: moves a lane's events, in order, through the team's scripts to the outboxes of its destinations.
 *
 * One batch is with the outboxes while the next is in the sandbox. A destination whose outbox does not take its share is parked: its
 * position is kept, the others go on, and it catches up from the log later, by running the scripts on the same events again.
 *
 * Invariants (DESIGN section 3): 2 (outbox appends are idempotent by (lane, seq); the cursor moves after every outbox has committed
 * or is parked), 3 (batches go out one after the other), 4 (a destination is never waited for, a script that takes the sandbox down
 * is found and left out), 5 (every seq reaches every destination's books once, or the quarantine).
 *
 * It does not know what a destination is, nor how scripts run.
 */
import type { Clock } from "../../shared/clock.ts";
import { messageOf } from "../../shared/errors.ts";
import { lineStarts, sliceLines } from "../../shared/ndjson.ts";
import type { OutboxAppend, OutboxAppended } from "../../shared/outbox-api.ts";
import { sliceRuns } from "../../shared/runs.ts";
import type { Progress } from "../../shared/sandbox-api.ts";
import type { Bundle, TeamSnapshot } from "../../shared/snapshot.ts";
import { BATCH_BYTES, BATCH_EVENTS } from "./batch-size.ts";
import type { Lane, LaneBatch } from "./lane.ts";
import { type Found, markedEvents, type Quarantine, reasonOf } from "./quarantine.ts";
import type { RunOptions, RunOutcome } from "./sandbox-client.ts";
import type { ScriptHealth } from "./script-health.ts";
import { expiredShare, type Share, Shares, shareOf, type Transformed, type Withheld } from "./share.ts";

export interface PumpDeps {
  /** The team's configuration as of now. Null: there is no such team. Throws when it cannot be read. */
  snapshot(): Promise<TeamSnapshot | null>;
  /** Never throws for what a sandbox does. */
  run(bundle: Bundle, events: Uint8Array, options: RunOptions): Promise<RunOutcome>;
  /** Throws when the outbox cannot be reached; then it may or may not have taken the share. */
  append(append: Omit<OutboxAppend, "lane">): Promise<OutboxAppended>;
  /** Resolves after `ms`, or when `wake` resolves. */
  wait(ms: number, wake?: Promise<void>): Promise<void>;
  /** Resolves after the event loop has turned: everybody else had a chance. */
  turn(): Promise<void>;
  /** This many events have left the backlog. */
  moved(events: number): void;
  clock: Clock;
  log(record: Record<string, unknown>): void;
}

/** Batches that are not full start this far apart: each costs every destination a commit, and company is on its way. */
const PACE_MS = 10;
/**
 * Turns of the event loop that the pump lets pass after each batch. On an idle machine they cost nothing, the sandbox is busy
 * meanwhile; on a busy one the outboxes send more than the pump brings, so that what is behind the pump does not pile up either.
 */
const YIELDED_TURNS_COUNT = 2;
/** An outbox that cannot be reached is left alone for this long; its destination falls behind meanwhile. */
const PARK_MS = 1_000;
/** Tries of one append before its destination is parked: an object that moves or restarts answers the second one. */
const APPEND_TRIES = 3;
const APPEND_RETRY_MS = 50;
/** Waits between tries of whatever is down: short at first, since a sandbox restarts within a second. */
const TROUBLE_MIN_MS = 50;
const TROUBLE_MAX_MS = 1_000;
const TROUBLE_FACTOR = 1.25;
/**
 * What the sandbox has died of comes again after this: those who have waited for the new one go first, and the next death, if there is
 * one, makes nobody wait twice. A restart takes a tenth of it.
 */
const AFTER_DEATH_MS = 1_000;
/** Times that the sandbox may die of a bundle without a script to blame before the bundle is run with care. */
const DEATHS_BEFORE_CARE = 3;

export class Pump {
  readonly #lane: Lane;
  readonly #quarantine: Quarantine;
  readonly #health: ScriptHealth;
  readonly #deps: PumpDeps;
  readonly #parkedUntil = new Map<string, number>();
  /** Bundles that took the sandbox down without a script to blame: run with care from then on. */
  readonly #suspects = new Map<string, number>();
  #running: Promise<void> | null = null;
  #kicked = Promise.withResolvers<void>();
  #trouble: string | null = null;
  #lastStartedAt = 0;
  /** Outboxes may have been given seqs up to this one: by this pump, or by one before it that has crashed. */
  #givenThrough: number;
  #asked = false;

  constructor(lane: Lane, quarantine: Quarantine, health: ScriptHealth, deps: PumpDeps) {
    this.#lane = lane;
    this.#quarantine = quarantine;
    this.#health = health;
    this.#deps = deps;
    this.#givenThrough = lane.nextSeq - 1;
    lane.accompany(health);
  }

  /** What holds it up, for the operator; null where nothing does. */
  get trouble(): string | null {
    return this.#trouble;
  }

  get hasWork(): boolean {
    return this.#lane.backlog > 0 || this.#lane.parked.size > 0;
  }

  get isRunning(): boolean {
    return this.#running !== null;
  }

  /** Starts it if it rests and there is work. Resolves when it rests again. */
  kick(): Promise<void> {
    this.#kicked.resolve();
    if (this.#running === null && this.hasWork) {
      this.#running = this.#work().finally(() => {
        this.#running = null;
      });
    }
    return this.#running ?? Promise.resolve();
  }

  /** Tries parked destinations again at once. */
  unpark(): void {
    this.#parkedUntil.clear();
    this.#kicked.resolve();
  }

  async #work(): Promise<void> {
    let ahead: Promise<Step | null> | null = null;
    // The batch that was read ahead must be delivered, even where it seemed that there was none.
    while (this.hasWork || ahead !== null) {
      const step: Step | null = await (ahead ?? this.#next(this.#lane.cursor));
      ahead = null;
      if (step !== null) {
        ahead = this.#next(step.batch.through);
        // Met where it is awaited; where the delivery fails first nobody awaits it any more.
        ahead.catch(() => {});
        await this.#deliver(step);
        for (let turn = 0; turn < YIELDED_TURNS_COUNT; turn++) await this.#deps.turn();
      }
      const moved = await this.#catchUp();
      this.#lane.retain();
      this.#quarantine.prune();
      if (step === null && !moved && this.#lane.backlog === 0 && this.#lane.parked.size > 0)
        await this.#waitForParked();
    }
  }

  /** Reads the batch after `after` and runs the scripts on it; null if there is none. Waits out whatever is down. */
  async #next(after: number): Promise<Step | null> {
    if (this.#lane.nextSeq - 1 - after < BATCH_EVENTS) {
      const early = this.#lastStartedAt + PACE_MS - this.#deps.clock.now();
      if (early > 0) await this.#deps.wait(early);
    }
    this.#lastStartedAt = this.#deps.clock.now();
    const batch = this.#lane.read(after, this.#lane.nextSeq - 1, BATCH_EVENTS, BATCH_BYTES);
    return batch === null ? null : this.#transform(batch, true);
  }

  async #transform(batch: LaneBatch, count: boolean): Promise<Step> {
    for (let failures = 0; ; failures++) {
      let trouble: string;
      try {
        const snapshot = await this.#deps.snapshot();
        if (snapshot !== null) {
          const step =
            snapshot.bundle === null
              ? { batch, run: null, quarantined: markedEvents(batch.events) }
              : await this.#runChain(batch, snapshot.bundle, count);
          if (!("trouble" in step)) {
            this.#trouble = null;
            return { ...step, snapshot };
          }
          trouble = step.trouble;
        } else trouble = "the team is not in the configuration: its events wait until it is";
      } catch (error) {
        trouble = `the team's configuration cannot be read: ${messageOf(error)}`;
      }
      if (trouble !== this.#trouble) this.#deps.log({ level: "error", message: trouble, backlog: this.#lane.backlog });
      this.#trouble = trouble;
      await this.#deps.wait(Math.min(TROUBLE_MAX_MS, TROUBLE_MIN_MS * TROUBLE_FACTOR ** failures));
    }
  }

  async #runChain(
    batch: LaneBatch,
    bundle: Bundle,
    count: boolean,
  ): Promise<Omit<Step, "snapshot"> | { trouble: string }> {
    this.#health.inForce(bundle.hash);
    const fail: Progress[] = [];
    let careful = (this.#suspects.get(bundle.hash) ?? 0) >= DEATHS_BEFORE_CARE;
    for (;;) {
      const run = await this.#deps.run(bundle, batch.events, { careful, skip: this.#health.quarantined(), fail });
      if (run.outcome === "ran") {
        const { ran, quarantined = [] } = run.result;
        if (count) this.#health.count(batch, run.result);
        return { batch: ran === undefined ? batch : firstOf(batch, ran), run, quarantined };
      }
      if (run.outcome === "broken") return { trouble: `the team's scripts do not load: ${run.message}` };
      if (!run.started) return { trouble: `the sandbox cannot be reached: ${run.message}` };
      this.#blame(bundle, run.progress, batch);
      if (run.progress !== null) fail.push(run.progress);
      careful = true;
      await this.#deps.wait(AFTER_DEATH_MS);
    }
  }

  /** The sandbox died while it ran this bundle. */
  #blame(bundle: Bundle, progress: Progress | null, batch: LaneBatch): void {
    // Without progress nobody is named, even where there is one script only: the sandbox may have been killed for another reason.
    const culprit = progress?.script;
    let quarantined = false;
    const deaths = this.#suspects.get(bundle.hash) ?? 0;
    if (culprit === undefined) this.#suspects.set(bundle.hash, deaths + 1);
    else {
      quarantined = this.#health.countKill(culprit);
      // The death before it, by which the bundle came to be run with care, has its script to blame too.
      this.#suspects.set(bundle.hash, Math.max(0, deaths - 1));
    }
    this.#deps.log({
      level: "error",
      message: "the sandbox died while it ran the team's scripts",
      script: culprit ?? null,
      quarantined,
      events: batch.through - batch.after,
    });
  }

  /** Gives every destination that is up to date its share, then moves the cursor. */
  async #deliver(step: Step): Promise<void> {
    const { batch, snapshot } = step;
    const shares = new Shares(step, await this.#quarantineOf(step));
    this.#givenThrough = Math.max(this.#givenThrough, batch.through);
    const parked = new Map<string, number | null>();
    const upToDate = snapshot.destinations.filter(({ id }) => !this.#lane.parked.has(id));
    await Promise.all(
      upToDate.map(async ({ id }) => {
        const through = await this.#append(snapshot.team, id, shares.of(id));
        if (through < batch.through) parked.set(id, through);
      }),
    );
    for (const id of this.#lane.parked.keys()) {
      if (!snapshot.destinations.some((destination) => destination.id === id)) parked.set(id, null);
    }
    this.#lane.advance(batch.through, batch.events.length, parked);
    this.#deps.moved(batch.through - batch.after);
  }

  /** Puts into the quarantine what belongs there, and says what destinations do not get of the batch. */
  async #quarantineOf(step: Step): Promise<Withheld> {
    const { batch, quarantined, snapshot } = step;
    const decided = this.#decided(batch);
    const found = quarantined.filter(({ index }) => !decided.has(seqOf(batch, index)));
    if (found.length === 0) return decided;
    // An outbox that has an event already cannot be made to forget it: to the others it comes as a dead letter.
    if (batch.after < this.#givenThrough) await this.#askOutboxes(snapshot);
    const fresh = found.filter(({ index }) => seqOf(batch, index) > this.#givenThrough);
    if (fresh.length > 0) {
      this.#quarantine.hold(batch, fresh);
      this.#deps.log({ level: "warn", message: "events went to the quarantine", events: fresh.length });
    }
    return this.#withheld(step);
  }

  /** What destinations do not get of a batch whose seqs have been decided: what fails only now becomes a dead letter. */
  #withheld({ batch, quarantined }: Step): Withheld {
    const withheld = new Map(this.#decided(batch));
    for (const found of quarantined) {
      const seq = seqOf(batch, found.index);
      if (!withheld.has(seq)) withheld.set(seq, reasonOf(found, "other destinations may have it already"));
    }
    return withheld;
  }

  #decided({ after, through }: LaneBatch): Withheld {
    return this.#quarantine.withheld(after, through);
  }

  /** Learns, once, what outboxes were given before a crash. Where one does not answer they may have been given all that there was. */
  async #askOutboxes({ team, destinations }: TeamSnapshot): Promise<void> {
    if (this.#asked) return;
    this.#asked = true;
    const { cursor } = this.#lane;
    const nothing = expiredShare(cursor, cursor, () => new Map());
    const answers = await Promise.allSettled(
      destinations.map(({ id }) => this.#deps.append({ team, destination: id, ...nothing })),
    );
    const known = answers.map((answer) => (answer.status === "fulfilled" ? answer.value.through : this.#givenThrough));
    this.#givenThrough = Math.max(cursor, ...known);
  }

  /** The last seq that the outbox has afterwards: less than the share's if it did not take it, and then the destination waits a while. */
  async #append(team: string, destination: string, share: Share): Promise<number> {
    let message = "";
    for (let attempt = 1; attempt <= APPEND_TRIES; attempt++) {
      if (attempt > 1) await this.#deps.wait(APPEND_RETRY_MS * attempt);
      try {
        const answer = await this.#deps.append({ team, destination, ...share });
        if (answer.status === "full") {
          this.#parkedUntil.set(destination, this.#deps.clock.now() + answer.retryAfterMs);
          this.#deps.log({ level: "warn", message: "the outbox is full: the destination falls behind", destination });
        }
        return answer.through;
      } catch (error) {
        message = messageOf(error);
      }
    }
    this.#parkedUntil.set(destination, this.#deps.clock.now() + PARK_MS);
    this.#deps.log({ level: "error", message: `the outbox cannot be reached: ${message}`, destination });
    return share.after;
  }

  /** One batch for each parked destination whose wait is over. True if any moved. */
  async #catchUp(): Promise<boolean> {
    const now = this.#deps.clock.now();
    const due = [...this.#lane.parked].filter(([destination]) => (this.#parkedUntil.get(destination) ?? 0) <= now);
    const moved = await Promise.all(due.map(([destination, through]) => this.#catchUpOne(destination, through)));
    return moved.includes(true);
  }

  async #catchUpOne(destination: string, through: number): Promise<boolean> {
    const { cursor } = this.#lane;
    const batch = this.#lane.read(through, cursor, BATCH_EVENTS, BATCH_BYTES);
    const step = batch === null ? null : await this.#transform(batch, false);
    const snapshot = step?.snapshot ?? (await this.#deps.snapshot().catch(() => null));
    // Without its configuration nothing is known of the destination, not even that it is gone.
    if (snapshot === null) {
      this.#parkedUntil.set(destination, this.#deps.clock.now() + PARK_MS);
      return false;
    }
    let reached = cursor;
    if (snapshot.destinations.some(({ id }) => id === destination)) {
      // Rows between where it stands and where the log begins are gone.
      const begin = batch?.after ?? cursor;
      const share =
        step === null || begin > through
          ? expiredShare(through, begin, (until) => this.#quarantine.withheld(through, until))
          : shareOf(step, destination, this.#withheld(step));
      reached = await this.#append(snapshot.team, destination, share);
    }
    if (reached === through) return false;
    this.#lane.advance(cursor, 0, new Map([[destination, reached >= cursor ? null : reached]]));
    return true;
  }

  async #waitForParked(): Promise<void> {
    this.#kicked = Promise.withResolvers<void>();
    const next = Math.min(...[...this.#lane.parked.keys()].map((id) => this.#parkedUntil.get(id) ?? 0));
    await this.#deps.wait(Math.max(1, next - this.#deps.clock.now()), this.#kicked.promise);
  }
}

interface Step extends Transformed {
  /** What the scripts, or a restriction, send to the quarantine. */
  quarantined: readonly Found[];
  snapshot: TeamSnapshot;
}

/** The first `count` events of a batch. */
function firstOf(batch: LaneBatch, count: number): LaneBatch {
  return {
    after: batch.after,
    through: batch.after + count,
    events: sliceLines(batch.events, lineStarts(batch.events), 0, count),
    tokens: sliceRuns(batch.tokens, 0, count),
  };
}

function seqOf({ after }: LaneBatch, index: number): number {
  return after + 1 + index;
}
