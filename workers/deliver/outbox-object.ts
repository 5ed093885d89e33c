import { connect } from "cloudflare:sockets";
import { DurableObject } from "cloudflare:workers";
import { systemClock } from "../../shared/clock.ts";
import { messageOf } from "../../shared/errors.ts";
import { logLine } from "../../shared/log.ts";
import type * as api from "../../shared/outbox-api.ts";
import type { ReplayStatus } from "../../shared/replay-api.ts";
import { type CachingSnapshotReader, createSnapshotReader, snapshotTtl } from "../../shared/snapshot-reader.ts";
import { objectSql } from "../../shared/sql.ts";
import { outboxStub } from "../../shared/stubs.ts";
import { runtimeTimer } from "../../shared/timer.ts";
import { runInSandbox } from "../capture/sandbox-client.ts";
import { filterOf, openArchive } from "./archive.ts";
import { attempt } from "./attempt.ts";
import type { Connect } from "./destinations/destination.ts";
import { Drain } from "./drain.ts";
import type { DeliverEnv } from "./env.ts";
import { Kept } from "./kept.ts";
import { Notices } from "./notices.ts";
import { type Identity, Outbox } from "./outbox.ts";
import { loadDestination } from "./outbox-config.ts";
import { Replays } from "./replays.ts";
import { type ReshapeDeps, reshape } from "./reshape.ts";
import { sealedSecrets } from "./sealed-secrets.ts";
import type { Timers } from "./timers.ts";
import { Vault } from "./vault.ts";
import { Wakeups } from "./wakeups.ts";

const timers: Timers = {
  after: (ms, callback) => {
    const timer = setTimeout(callback, ms);
    return () => clearTimeout(timer);
  },
};

/** Requests that are delivered within so long are booked in one commit: little beside an fsync, and what a crash sends again. */
const SETTLE_MS = 5;

/** A connection that nobody uses keeps its object in memory; a new one costs some milliseconds. */
const KEPT_IDLE_MS = 30_000;

/** One destination's outbox: wiring only. outbox.ts has the rules, drain.ts the sending. */
export class OutboxObject extends DurableObject<DeliverEnv> implements api.OutboxApi {
  readonly #outbox: Outbox;
  readonly #drain: Drain;
  readonly #wakeups: Wakeups;
  readonly #notices: Notices;
  readonly #snapshots: CachingSnapshotReader;
  readonly #replays: Replays;
  /** Whether the sweep knows of this object. */
  #registered = false;

  constructor(ctx: DurableObjectState, env: DeliverEnv) {
    super(ctx, env);
    const newId = () => crypto.randomUUID();
    const sql = objectSql(ctx.storage);
    const appendTo = (append: api.OutboxAppend) =>
      outboxStub(env.OUTBOXES, append.team, append.destination).append(append);
    const noticed = () => ctx.waitUntil(this.#notices.flush());
    this.#outbox = new Outbox({ sql, clock: systemClock, random: Math.random, newId, noticed });
    this.#snapshots = createSnapshotReader({ kv: env.SNAPSHOTS, db: env.DB, clock: systemClock, ...snapshotTtl(env) });
    this.#notices = new Notices({
      ...{ outbox: this.#outbox, snapshot: (team) => this.#snapshots.team(team), log: logLine },
      append: appendTo,
    });
    const vault = Vault.fromBase64(env.SECRET_KEY);
    const open = (sealed: string) => vault.open(sealed);
    const config = {
      ...{ snapshots: this.#snapshots, vault },
      sealedSecrets: (team: string, destination: string) => sealedSecrets(env.DB, team, destination),
    };
    const reshapeDeps: ReshapeDeps = {
      snapshots: this.#snapshots,
      run: (bundle, only, events) =>
        runInSandbox(env.SANDBOX, bundle, events, { careful: false, skip: [], fail: [], only }, open),
    };
    this.#replays = new Replays({
      ...{ outbox: this.#outbox, sql, clock: systemClock, log: logLine, append: appendTo },
      reshape: (destination, events) => reshape(reshapeDeps, this.#identity().team, destination, events),
      archive: (team, id) => openArchive((...of) => loadDestination(config, ...of), team, id, attemptDeps),
      filter: (team, destination) => filterOf(this.#snapshots, team, destination),
      wait: async (ms, wake) => {
        // Events that a step has put back are sent meanwhile.
        this.#drain.kick();
        const timer = runtimeTimer(ms);
        await (wake === undefined ? timer.done : Promise.race([timer.done, wake]));
        timer.cancel();
      },
    });
    const attemptDeps = {
      ...{ clock: systemClock, timers, print: (line: string) => logLine({ print: line }) },
      // On one machine all that leaves goes through a network that the operator has bounded; Cloudflare has its own.
      fetch: ((input, init) => (env.EGRESS ?? globalThis).fetch(input, init)) as typeof fetch,
      connect: ((address, how) =>
        env.EGRESS === undefined ? connect(address, how) : env.EGRESS.connect(address, how)) as Connect,
      kept: new Kept(timers, KEPT_IDLE_MS),
    };
    this.#wakeups = new Wakeups({
      ...{ clock: systemClock, timers, wake: () => this.#drain.kick() },
      setAlarm: (at) => void ctx.storage.setAlarm(at),
    });
    this.#drain = new Drain({
      ...{ outbox: this.#outbox, clock: systemClock, random: Math.random, log: logLine },
      load: (team, destination) => loadDestination(config, team, destination),
      attempt: (destination, team, work) =>
        attempt(destination, { ...work, team, destination: this.#identity().destination }, attemptDeps),
      soon: (flush) => void timers.after(SETTLE_MS, flush),
      schedule: (at) => this.#wakeups.at(at),
      keepAlive: (work) => ctx.waitUntil(work),
    });
    this.#resume();
  }

  async append(append: api.OutboxAppend): Promise<api.OutboxAppended> {
    const appended = this.#outbox.append(append);
    this.#register();
    this.#resume();
    return appended;
  }

  async status(): Promise<api.OutboxStatus> {
    const { team, destination } = this.#identity();
    const oldestAt = this.#outbox.oldestPendingAt();
    return {
      ...{ team, destination, book: this.#outbox.book() },
      ...this.#outbox.figures(),
      oldestAt: oldestAt === null ? null : new Date(oldestAt).toISOString(),
      ...this.#drain.condition(),
    };
  }

  async deadLetters(query: api.DeadLetterQuery): Promise<api.DeadLetterPage> {
    return this.#outbox.deadLetters(query);
  }

  async replay(request: Parameters<api.OutboxApi["replay"]>[0]): Promise<ReplayStatus> {
    // With a short maximum age what is replayed would die again before the next probe.
    if (request.destination === this.#outbox.identity()?.destination) this.#drain.trust();
    // A script that has just been mended is the one to run.
    this.#snapshots.forget();
    this.#replays.start(request);
    this.#resume();
    return this.#replays.answer(request.id);
  }

  async replays(): Promise<ReplayStatus[]> {
    return this.#replays.statuses();
  }

  async cancelReplay(id: string): Promise<boolean> {
    return this.#replays.cancel(id);
  }

  async discard(selection: api.DeadLetterSelection): Promise<{ discarded: number }> {
    return { discarded: await this.#replays.discard(selection) };
  }

  async pause({ team, destination, reason }: Parameters<api.OutboxApi["pause"]>[0]): Promise<void> {
    this.#outbox.identify({ team, destination });
    this.#outbox.health.pause(reason);
    this.#register();
  }

  async resume(): Promise<void> {
    this.#drain.resume();
    this.#resume();
  }

  async wake(): Promise<void> {
    while (this.#outbox.trimDeadLetters()) await scheduler.wait(0);
    this.#snapshots.forget();
    await this.#drain.load();
    await this.#notices.flush();
    this.#register();
    this.#resume();
  }

  override async alarm(): Promise<void> {
    this.#wakeups.fired();
    this.#resume();
    await this.#drain.quiet();
    this.#resume();
  }

  /** Empty before the first append. */
  #identity(): Identity {
    return this.#outbox.identity() ?? { team: "", destination: "" };
  }

  #resume(): void {
    const hasReplays = this.#replays.hasWork;
    if (this.#outbox.pending().count === 0 && !hasReplays) return;
    this.#wakeups.guard();
    this.#drain.kick();
    if (hasReplays) this.ctx.waitUntil(this.#replays.kick());
  }

  /** Once in the object's life; tried again with the next append or wake until it works. */
  #register(): void {
    const identity = this.#outbox.identity();
    if (this.#registered || identity === null) return;
    this.#registered = true;
    const { team, destination } = identity;
    const insert = this.env.DB.prepare("INSERT OR IGNORE INTO outboxes (team, destination) VALUES (?, ?)");
    const done = insert.bind(team, destination).run();
    const failed = (error: unknown) => {
      this.#registered = false;
      const message = `outbox could not be registered for the sweep: ${messageOf(error)}`;
      logLine({ level: "error", message, team, destination });
    };
    this.ctx.waitUntil(done.then(() => undefined, failed));
  }
}
