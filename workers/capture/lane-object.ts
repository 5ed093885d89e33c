import { DurableObject } from "cloudflare:workers";
import { type Clock, systemClock } from "../../shared/clock.ts";
import { messageOf } from "../../shared/errors.ts";
import type { Event } from "../../shared/event.ts";
import type {
  DailyUsage,
  LaneApi,
  LaneAppend,
  LaneAppended,
  LaneStatus,
  QuarantinePage,
  QuarantineQuery,
  QuarantineSelection,
} from "../../shared/lane-api.ts";
import { logLine } from "../../shared/log.ts";
import type { OutboxAppend, OutboxAppended } from "../../shared/outbox-api.ts";
import type { LaneReplay, ReplayStatus } from "../../shared/replay-api.ts";
import type { SnapshotReader, TeamSnapshot } from "../../shared/snapshot.ts";
import { createSnapshotReader, snapshotTtl } from "../../shared/snapshot-reader.ts";
import { objectSql } from "../../shared/sql.ts";
import { outboxStub } from "../../shared/stubs.ts";
import { runtimeTimer } from "../../shared/timer.ts";
import { UUID_BYTES } from "../../shared/uuid.ts";
import { Admission, DEFAULT_ADMISSION_LIMITS } from "./admission.ts";
import type { CaptureEnv } from "./env.ts";
import { DEFAULT_LANE_LIMITS, Lane } from "./lane.ts";
import { laneLimits } from "./lane-limits.ts";
import { unresolvedToken } from "./lane-name.ts";
import { LaneReplays } from "./lane-replays.ts";
import { laneStatus } from "./lane-status.ts";
import { LaneStore } from "./lane-store.ts";
import { Pump } from "./pump.ts";
import { Quarantine } from "./quarantine.ts";
import { QuarantineStore } from "./quarantine-store.ts";
import { newestEvents } from "./samples.ts";
import { runInSandbox } from "./sandbox-client.ts";
import { ScriptHealth } from "./script-health.ts";
import { ScriptStore } from "./script-store.ts";

/** How long a busy lane sleeps at most if everything else that should wake it is lost. Armed once a busy period: each costs a write. */
const SAFETY_ALARM_MS = 30_000;
/** An append to an outbox is a commit, milliseconds; a busy machine may take a hundred times as long. */
const OUTBOX_TIMEOUT_MS = 5_000;

const turn = () => scheduler.wait(0);

/** The shell of a lane: storage, timers and bindings around Lane (the log), Pump (what moves it) and Admission (fair shares). */
export class LaneObject extends DurableObject<CaptureEnv> implements LaneApi {
  readonly #clock: Clock = systemClock;
  readonly #store: LaneStore;
  readonly #lane: Lane;
  readonly #quarantine: Quarantine;
  readonly #health: ScriptHealth;
  readonly #pump: Pump;
  readonly #admission: Admission;
  readonly #replays: LaneReplays;
  readonly #reader: SnapshotReader & { forget(): void };
  #name: string | null;
  #team: string | null;
  #armed = false;
  #registered = false;

  constructor(ctx: DurableObjectState, env: CaptureEnv) {
    super(ctx, env);
    const sql = objectSql(ctx.storage);
    this.#store = new LaneStore(sql);
    this.#name = this.#store.name("lane");
    this.#team = this.#store.name("team");
    const [seed] = crypto.getRandomValues(new Uint32Array(1));
    this.#lane = new Lane(this.#store, this.#clock, laneLimits(env), seed as number);
    this.#quarantine = new Quarantine(this.#lane, new QuarantineStore(sql), this.#clock);
    this.#health = new ScriptHealth(new ScriptStore(sql), this.#clock);
    this.#reader = createSnapshotReader({
      kv: env.SNAPSHOTS,
      db: env.DB,
      clock: this.#clock,
      ...snapshotTtl(env),
    });
    this.#pump = new Pump(this.#lane, this.#quarantine, this.#health, {
      snapshot: () => this.#snapshot(),
      run: (bundle, events, options) =>
        runInSandbox(env.SANDBOX, bundle, events, options, (sealed) => env.DELIVER.open(sealed)),
      append: (append) => this.#appendToOutbox(append),
      wait: async (ms, wake) => {
        this.#admission.progressed(0);
        const timer = runtimeTimer(ms);
        await (wake === undefined ? timer.done : Promise.race([timer.done, wake]));
        timer.cancel();
      },
      turn,
      moved: (events) => this.#admission.progressed(events),
      clock: this.#clock,
      log: (record) => logLine({ lane: this.#name, team: this.#team, ...record }),
    });
    this.#replays = new LaneReplays({
      ...{ lane: this.#lane, quarantine: this.#quarantine, sql, clock: this.#clock },
      ...{ name: () => this.#name ?? "", skipped: () => this.#health.quarantined() },
      snapshot: () => this.#snapshot(),
      run: (bundle, events, options) =>
        runInSandbox(env.SANDBOX, bundle, events, options, (sealed) => env.DELIVER.open(sealed)),
      append: (append) => this.#appendToOutbox(append),
      wait: async (ms, wake) => {
        const timer = runtimeTimer(ms);
        await (wake === undefined ? timer.done : Promise.race([timer.done, wake]));
        timer.cancel();
      },
      log: (record) => logLine({ lane: this.#name, ...record }),
    });
    const limits = { ...DEFAULT_ADMISSION_LIMITS };
    if (env.ADMISSION_FREE_EVENTS !== undefined) limits.freeEvents = Number(env.ADMISSION_FREE_EVENTS);
    const admission = {
      backlog: () => this.#lane.backlog,
      pumping: () => this.#pump.isRunning && this.#pump.trouble === null,
      timer: runtimeTimer,
    };
    this.#admission = new Admission(admission, limits);
    if (this.#pump.hasWork || this.#replays.hasWork) this.#resume();
  }

  async append(append: LaneAppend): Promise<LaneAppended> {
    await this.#admission.admit(append.uuids.length / UUID_BYTES);
    if (this.#name === null) {
      this.#name = append.lane;
      this.#store.setName("lane", append.lane);
    }
    const appended = this.#lane.append(append);
    this.#resume();
    return appended;
  }

  async status(): Promise<LaneStatus> {
    const snapshot = await this.#snapshot().catch(() => null);
    return laneStatus({
      ...{ name: this.#name, team: this.#team, snapshot, lane: this.#lane, quarantine: this.#quarantine },
      ...{ health: this.#health, pump: this.#pump, refused: this.#store.refused() },
    });
  }

  async samples(limit: number): Promise<Event[]> {
    return newestEvents(this.#lane.newest(), limit);
  }

  async quarantine(query: QuarantineQuery): Promise<QuarantinePage> {
    return this.#quarantine.page(query);
  }

  async release(selection: QuarantineSelection): Promise<{ released: number }> {
    try {
      return { released: await this.#quarantine.release(selection, turn) };
    } finally {
      this.#resume();
    }
  }

  async discard(selection: QuarantineSelection): Promise<{ discarded: number }> {
    return { discarded: this.#quarantine.discard(selection) };
  }

  async replay(request: LaneReplay): Promise<ReplayStatus> {
    this.#reader.forget();
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

  async usage(): Promise<DailyUsage> {
    return this.#lane.usage;
  }

  async wake(): Promise<void> {
    this.#reader.forget();
    this.#pump.unpark();
    this.#resume();
  }

  override async alarm(): Promise<void> {
    this.#armed = false;
    this.#resume();
  }

  #resume(): void {
    if (!this.#registered) this.ctx.waitUntil(this.#register());
    if (this.#replays.hasWork) this.ctx.waitUntil(this.#replays.kick());
    if (!this.#pump.hasWork && !this.#replays.hasWork) return;
    this.#arm();
    if (!this.#pump.hasWork) return;
    // One that waits for a parked destination has to hear of new events: the other destinations do not wait for it.
    if (this.#pump.isRunning) void this.#pump.kick();
    else this.ctx.waitUntil(this.#runPump());
  }

  /** As long as there is work an alarm is on its way: whatever ends the pump, or this object, it begins again. */
  #arm(): void {
    if (this.#armed) return;
    this.#armed = true;
    this.ctx.storage.setAlarm(this.#clock.now() + SAFETY_ALARM_MS).catch(() => {
      this.#armed = false;
    });
  }

  async #runPump(): Promise<void> {
    try {
      await this.#pump.kick();
      // Resting: its last position is written once no new traffic has done so meanwhile.
      const timer = runtimeTimer(DEFAULT_LANE_LIMITS.saveMs);
      await timer.done;
      if (!this.#pump.hasWork) this.#lane.save();
    } catch (error) {
      // A bug or a broken store: the alarm starts the pump again, from the cursor.
      logLine({ level: "error", lane: this.#name, team: this.#team, message: `the pump stopped: ${messageOf(error)}` });
    }
  }

  /** Makes the lane known to the sweep and the API. Tried again with the next append if it fails. */
  async #register(): Promise<void> {
    this.#registered = true;
    try {
      const team = await this.#findTeam();
      if (this.#name === null || team === null) throw new Error("its team is not known yet");
      await this.env.DB.prepare("INSERT OR IGNORE INTO lanes (lane, team) VALUES (?, ?)").bind(this.#name, team).run();
    } catch (error) {
      this.#registered = false;
      logLine({ level: "warn", lane: this.#name, message: `the lane could not be registered: ${messageOf(error)}` });
    }
  }

  async #findTeam(): Promise<string | null> {
    if (this.#team !== null || this.#name === null) return this.#team;
    const token = unresolvedToken(this.#name);
    const team =
      token === null ? this.#name.slice(0, this.#name.indexOf(":")) : ((await this.#reader.token(token))?.team ?? null);
    if (team !== null) {
      this.#team = team;
      this.#store.setName("team", team);
      // It could not be registered while nobody knew its team, and no append may ever come again.
      if (!this.#registered) this.ctx.waitUntil(this.#register());
    }
    return team;
  }

  async #snapshot(): Promise<TeamSnapshot | null> {
    const team = await this.#findTeam();
    if (team !== null) return this.#reader.team(team);
    // Accepted while the configuration could not be read; now it can, and it has no such token. Nobody's events: let them go, on record.
    logLine({
      level: "warn",
      lane: this.#name,
      message: "events of an unknown token are let go",
      events: this.#lane.backlog,
    });
    return { team: "", version: 0, lanes: 1, tokens: [], bundle: null, destinations: [] };
  }

  /** Throws also where there is no answer in time: an outbox that hangs must not hang the others' events. */
  async #appendToOutbox(append: Omit<OutboxAppend, "lane"> & { lane?: string }): Promise<OutboxAppended> {
    const stub = outboxStub(this.env.OUTBOXES, append.team, append.destination);
    const timer = runtimeTimer(OUTBOX_TIMEOUT_MS);
    const late = timer.done.then((): never => {
      throw new Error(`no answer within ${OUTBOX_TIMEOUT_MS} ms`);
    });
    try {
      return await Promise.race([stub.append({ lane: this.#name as string, ...append }), late]);
    } finally {
      timer.cancel();
    }
  }
}
