import fc from "fast-check";
import { describe, expect, it, vi } from "vitest";
import { decodeLines, encodeLines } from "../../shared/ndjson.ts";
import type { OutboxAppended } from "../../shared/outbox-api.ts";
import type { TeamSnapshot } from "../../shared/snapshot.ts";
import { FakeClock } from "../../shared/testing/fake-clock.ts";
import { nodeSql } from "../../shared/testing/node-sql.ts";
import { formatUuid } from "../../shared/uuid.ts";
import { newEvents } from "../deliver/new-events.ts";
import { DEFAULT_LANE_LIMITS, Lane } from "./lane.ts";
import { laneStatus } from "./lane-status.ts";
import { LaneStore } from "./lane-store.ts";
import { Pump, type PumpDeps } from "./pump.ts";
import { Quarantine, type QuarantineLimits } from "./quarantine.ts";
import { QuarantineStore } from "./quarantine-store.ts";
import type { RunOutcome } from "./sandbox-client.ts";
import { ScriptHealth } from "./script-health.ts";
import { ScriptStore } from "./script-store.ts";

type Append = Parameters<PumpDeps["append"]>[0];

const bundle = {
  hash: "b1",
  team: "acme",
  scripts: [{ id: "scrub", module: "scrub.js", on_error: "pass" as const, inputs: {} }],
  filters: {},
  modules: {},
};

function aSnapshot(overrides: Partial<TeamSnapshot> = {}): TeamSnapshot {
  const destinations = ["hook", "kafka"].map((id) => ({ id, kind: "webhook", settings: {} }));
  return { team: "acme", version: 1, lanes: 1, tokens: ["phc_a"], bundle: null, destinations, ...overrides };
}

/** What an outbox does with an append, as the contract has it (shared/outbox-api.ts). */
class FakeOutbox {
  through: number | null = null;
  lines: string[] = [];
  seqs: number[] = [];
  expired: number[] = [];
  /** They are among the lines. */
  dead: { line: string; reason: string }[] = [];
  state: "ok" | "full" | "unreachable" = "ok";

  append(append: Append): OutboxAppended {
    if (this.state === "unreachable") throw new Error("connection lost");
    if (this.state === "full") return { status: "full", through: this.through ?? append.after, retryAfterMs: 1_000 };
    if (this.through !== null && append.after > this.through) return { status: "gap", through: this.through };
    // Refuses what an outbox refuses: lines and seqs that do not match.
    newEvents({ lane: "acme:local:0", ...append }, this.through ?? append.after);
    const lines = decodeLines(append.events);
    for (const [i, line] of lines.entries()) {
      const seq = append.seqs?.[i] ?? append.after + 1 + i;
      if (seq <= (this.through ?? append.after)) continue;
      this.lines.push(line);
      const dead = append.dead?.find((letter) => letter.line === i);
      if (dead !== undefined) this.dead.push({ line, reason: dead.reason });
      this.seqs.push(seq);
    }
    this.expired.push(...append.expired.filter((seq) => seq > (this.through ?? 0)));
    this.through = Math.max(this.through ?? 0, append.through);
    return { status: "stored", through: this.through };
  }
}

function aPump(
  options: {
    snapshot?: TeamSnapshot;
    run?: PumpDeps["run"];
    retainBytes?: number;
    room?: QuarantineLimits;
    backlogBytes?: number;
  } = {},
) {
  const sql = nodeSql();
  const clock = new FakeClock();
  const store = new LaneStore(sql);
  const outboxes: Record<string, FakeOutbox> = { hook: new FakeOutbox(), kafka: new FakeOutbox() };
  const state = { snapshot: options.snapshot ?? aSnapshot(), waits: 0, moved: 0, onWait: () => {} };
  const limits = {
    ...DEFAULT_LANE_LIMITS,
    ...(options.retainBytes === undefined ? {} : { retainBytes: options.retainBytes }),
    ...(options.backlogBytes === undefined ? {} : { backlogBytes: options.backlogBytes }),
  };
  const open = () => {
    const lane = new Lane(store, clock, limits, 1);
    const quarantine = new Quarantine(lane, new QuarantineStore(sql), clock, options.room);
    const health = new ScriptHealth(new ScriptStore(sql), clock);
    const pump = new Pump(lane, quarantine, health, {
      snapshot: async () => state.snapshot,
      run: options.run ?? (async (_bundle, events) => ran(decodeLines(events))),
      append: async (append) => (outboxes[append.destination] as FakeOutbox).append(append),
      wait: async (ms) => {
        clock.advance(ms);
        state.waits++;
        // A pump that waits for ever would hang the test: after this many waits it is told so.
        if (state.waits > 500) throw new Error("the pump waits without end");
        state.onWait();
      },
      turn: () => Promise.resolve(),
      moved: (events) => {
        state.moved += events;
      },
      clock,
      log: () => {},
    });
    return { lane, pump, quarantine, health };
  };
  return { ...open(), open, outboxes, state, clock };
}

const NEVER = new Promise<never>(() => {});

let next = 0;
function append(lane: Lane, lines: string[]): void {
  const uuids = new Uint8Array(lines.length * 16);
  for (let i = 0; i < lines.length; i++) new DataView(uuids.buffer).setUint32(i * 16, ++next);
  lane.append({ lane: "acme:local:0", events: encodeLines(lines), uuids, tokens: [["phc_a", lines.length]] });
}

function ran(lines: string[], result: Partial<Extract<RunOutcome, { outcome: "ran" }>["result"]> = {}): RunOutcome {
  return {
    outcome: "ran",
    result: { sources: null, dropped: [], matches: {}, errors: [], ...result },
    events: encodeLines(lines),
  };
}

const numbers = (count: number, from = 0) => Array.from({ length: count }, (_, i) => String(from + i));

describe("Pump", () => {
  it("brings every event to every destination once and in order, in batches (invariants 2, 3)", async () => {
    const { lane, pump, outboxes, state } = aPump();
    append(lane, numbers(1_300));
    await pump.kick();
    for (const outbox of Object.values(outboxes)) expect(outbox.lines).toEqual(numbers(1_300));
    expect([lane.cursor, lane.backlog, state.moved, pump.hasWork]).toEqual([1_300, 0, 1_300, false]);
  });

  it("tells each destination what became of every seq (invariant 5)", async () => {
    // Event 0 is dropped, 1 becomes two, 2 stays; the hook takes only the last line.
    const run: PumpDeps["run"] = async () =>
      ran(["1a", "1b", "2"], { sources: [1, 1, 2], dropped: [0], matches: { hook: [2] } });
    const appends: Append[] = [];
    const { lane, pump, outboxes } = aPump({ snapshot: aSnapshot({ bundle }), run });
    const hook = outboxes.hook as FakeOutbox;
    const original = hook.append.bind(hook);
    hook.append = (append) => {
      appends.push(append);
      return original(append);
    };
    append(lane, numbers(3));
    await pump.kick();
    expect(appends).toMatchObject([
      { after: 0, through: 3, seqs: [3], dropped: [1], filtered: [2, 2], tokens: [["phc_a", 1]] },
    ]);
    expect(outboxes.kafka).toMatchObject({ lines: ["1a", "1b", "2"], seqs: [2, 2, 3] });
  });

  it.each(["full", "unreachable"] as const)(
    "goes on for the others when an outbox is %s, and catches up (invariant 4)",
    async (down) => {
      const { lane, pump, outboxes, state } = aPump();
      const hook = outboxes.hook as FakeOutbox;
      append(lane, numbers(100));
      await pump.kick();
      hook.state = down;
      append(lane, numbers(1_000, 100));
      const seen: number[] = [];
      let waits = 0;
      state.onWait = () => {
        seen.push((outboxes.kafka as FakeOutbox).lines.length);
        if (++waits === 20) hook.state = "ok";
      };
      await pump.kick();
      expect(seen.at(-1)).toBe(1_100);
      for (const outbox of Object.values(outboxes)) expect(outbox.lines).toEqual(numbers(1_100));
      expect([lane.parked.size, pump.hasWork]).toEqual([0, false]);
    },
  );

  it("remembers over a restart where a parked destination stands", async () => {
    const { lane, pump, open, outboxes, state } = aPump();
    const hook = outboxes.hook as FakeOutbox;
    hook.state = "full";
    append(lane, numbers(700));
    state.onWait = () => {
      if (lane.backlog === 0) throw new Error("crash");
    };
    await expect(pump.kick()).rejects.toThrow("crash");
    state.onWait = () => {};
    hook.state = "ok";
    const again = open();
    expect(again.pump.hasWork).toBe(true);
    await again.pump.kick();
    for (const outbox of Object.values(outboxes)) expect(outbox.lines).toEqual(numbers(700));
  });

  it("reports what the log has let go of while a destination was parked as expired", async () => {
    const { lane, pump, outboxes, state } = aPump({ retainBytes: 0 });
    const hook = outboxes.hook as FakeOutbox;
    append(lane, numbers(1));
    await pump.kick();
    hook.state = "full";
    append(lane, numbers(600, 1));
    let waits = 0;
    state.onWait = () => {
      if (++waits === 3) hook.state = "ok";
    };
    await pump.kick();
    append(lane, ["last"]);
    await pump.kick();
    expect([...hook.seqs, ...hook.expired].sort((a, b) => a - b)).toEqual(Array.from({ length: 602 }, (_, i) => i + 1));
    expect(hook.lines.at(-1)).toBe("last");
  });

  it("sends again what the sandbox has not come to: a script that makes much of a batch lost its place in the chain", async () => {
    const run: PumpDeps["run"] = async (_bundle, events) => {
      const lines = decodeLines(events);
      const taken = lines.slice(0, 3);
      const outputs = taken.flatMap((line) => [`${line}a`, `${line}b`]);
      const sources = taken.flatMap((_, index) => [index, index]);
      return ran(outputs, { sources, ...(taken.length < lines.length ? { ran: taken.length } : {}) });
    };
    const { lane, pump, outboxes, state } = aPump({ snapshot: aSnapshot({ bundle }), run });
    append(lane, numbers(10));
    await pump.kick();
    const outputs = numbers(10).flatMap((line) => [`${line}a`, `${line}b`]);
    for (const outbox of Object.values(outboxes)) expect(outbox.lines).toEqual(outputs);
    expect([lane.cursor, lane.backlog, lane.backlogBytes, state.moved]).toEqual([10, 0, 0, 10]);
  });

  it("asks for a parked destination of a team that is gone once a second, and not without pause", async () => {
    const { lane, pump, outboxes, state, clock } = aPump({ retainBytes: 0 });
    (outboxes.hook as FakeOutbox).state = "full";
    append(lane, numbers(1));
    let asked = 0;
    const started = clock.now();
    state.onWait = () => {
      if (lane.backlog > 0) return;
      state.snapshot = null as unknown as TeamSnapshot;
      if (++asked === 20) throw new Error("enough");
    };
    await expect(pump.kick()).rejects.toThrow("enough");
    expect(clock.now() - started).toBeGreaterThan(15_000);
    expect(lane.parked.size).toBe(1);
  });

  it("waits while the sandbox is away, and says so", async () => {
    let tries = 0;
    const troubles: (string | null)[] = [];
    const run: PumpDeps["run"] = async (_bundle, events) =>
      ++tries < 5
        ? { outcome: "died", started: false, progress: null, message: "connection refused" }
        : ran(decodeLines(events));
    const { lane, pump, outboxes, state, health } = aPump({ snapshot: aSnapshot({ bundle }), run });
    state.onWait = () => troubles.push(pump.trouble);
    append(lane, numbers(3));
    await pump.kick();
    expect(outboxes.hook?.lines).toEqual(numbers(3));
    expect(troubles).toEqual(Array(4).fill("the sandbox cannot be reached: connection refused"));
    expect([pump.trouble, health.statuses()]).toEqual([null, []]);
  });

  it("finds the script that kills the sandbox, quarantines it after three kills, and loses nothing (invariant 4)", async () => {
    const runs: unknown[] = [];
    const run: PumpDeps["run"] = async (_bundle, events, options) => {
      runs.push(structuredClone(options));
      const lines = decodeLines(events);
      if (options.skip.includes("scrub")) return ran(lines);
      const culprit = lines.findIndex((_, event) => !options.fail.some((failed) => failed.event === event));
      if (!options.careful) return { outcome: "died", started: true, progress: null, message: "gone" };
      return { outcome: "died", started: true, progress: { event: culprit, script: "scrub" }, message: "gone" };
    };
    const { lane, pump, outboxes, health } = aPump({ snapshot: aSnapshot({ bundle }), run });
    append(lane, numbers(10));
    await pump.kick();
    expect(outboxes.hook?.lines).toEqual(numbers(10));
    expect(health.statuses()).toMatchObject([{ bundle: "b1", id: "scrub", kills: 3, quarantined: true }]);
    expect(runs.length).toBe(5);
    append(lane, numbers(10, 10));
    await pump.kick();
    expect(runs.length).toBe(6);
  });

  it("runs a bundle without care again once its killer has been found and left out", async () => {
    const modes: boolean[] = [];
    const run: PumpDeps["run"] = async (_bundle, events, { careful, skip, fail }) => {
      modes.push(careful);
      if (skip.includes("scrub") || fail.length > 0) return ran(decodeLines(events));
      const progress = careful ? { event: 0, script: "scrub" } : null;
      return { outcome: "died", started: true, progress, message: "gone" };
    };
    const { lane, pump, outboxes, health } = aPump({ snapshot: aSnapshot({ bundle }), run });
    for (let i = 0; i < 4; i++) {
      append(lane, numbers(2, i * 2));
      await pump.kick();
    }
    expect(outboxes.hook?.lines).toEqual(numbers(8));
    expect(health.quarantined()).toEqual(["scrub"]);
    // Three times: as a batch, which dies, with care, which names the script, and once more without it.
    const killed = [false, true, true];
    expect(modes).toEqual([...killed, ...killed, ...killed, false]);
  });

  it("blames no script for a sandbox that is killed from outside, however often: alone in its chain it was quarantined", async () => {
    const run: PumpDeps["run"] = async (_bundle, events, { careful }) =>
      careful
        ? ran(decodeLines(events))
        : { outcome: "died", started: true, progress: null, message: "connection reset" };
    const { lane, pump, outboxes, health } = aPump({ snapshot: aSnapshot({ bundle }), run });
    for (let i = 0; i < 5; i++) {
      append(lane, numbers(2, i * 2));
      await pump.kick();
    }
    expect(outboxes.hook?.lines).toEqual(numbers(10));
    expect(health.statuses()).toEqual([]);
  });

  describe("quarantine", () => {
    const line = (n: number, more: object = {}) =>
      JSON.stringify({
        uuid: formatUuid(Uint8Array.of(...Array<number>(15).fill(1), n)),
        event: "e",
        distinct_id: "u",
        n,
        ...more,
      });
    const lines = (...all: number[]) => all.map((n) => line(n));
    const seen = (outbox: FakeOutbox | undefined) => outbox?.lines.map((text) => (JSON.parse(text) as { n: number }).n);
    /** Fails on even numbers while `isBroken`, with the policy quarantine. */
    const scripted =
      (state: { isBroken: boolean }): PumpDeps["run"] =>
      async (_bundle, events) => {
        const inputs = decodeLines(events);
        const fails = inputs.map((text) => state.isBroken && (JSON.parse(text) as { n: number }).n % 2 === 0);
        const quarantined = fails.flatMap((is, index) => (is ? [{ index, script: "scrub", message: "even" }] : []));
        const sources = fails.flatMap((is, index) => (is ? [] : [index]));
        return ran(
          sources.map((index) => inputs[index] as string),
          { sources, quarantined },
        );
      };
    const aQuarantine = (options: Parameters<typeof aPump>[0] = {}) => {
      const script = { isBroken: true };
      return { script, ...aPump({ snapshot: aSnapshot({ bundle }), run: scripted(script), ...options }) };
    };

    it("keeps events from every destination, shows them, and lets them through once they are released (invariants 5, 7)", async () => {
      const { lane, pump, quarantine, outboxes, script } = aQuarantine();
      append(lane, lines(1, 2, 3, 4));
      await pump.kick();
      for (const outbox of Object.values(outboxes)) expect(seen(outbox)).toEqual([1, 3]);
      expect(quarantine.page({ limit: 1 })).toMatchObject({
        quarantined: [{ id: 1, script: "scrub", message: "even", event: JSON.parse(line(2)) }],
        total: 2,
        next: 1,
      });
      script.isBroken = false;
      expect(await quarantine.release({ ids: [2] }, () => Promise.resolve())).toBe(1);
      expect([lane.nextSeq, lane.backlog, quarantine.count, quarantine.released]).toEqual([6, 1, 1, 1]);
      await pump.kick();
      for (const outbox of Object.values(outboxes)) {
        expect([seen(outbox), outbox.seqs]).toEqual([
          [1, 3, 4],
          [1, 3, 5],
        ]);
      }
    });

    it("takes back what still fails", async () => {
      const { lane, pump, quarantine, outboxes } = aQuarantine();
      append(lane, lines(2));
      await pump.kick();
      await quarantine.release({}, () => Promise.resolve());
      await pump.kick();
      expect(quarantine.page({}).quarantined).toMatchObject([{ id: 2, event: { n: 2 } }]);
      expect([seen(outboxes.hook), outboxes.hook?.through]).toEqual([[], 2]);
    });

    it("keeps what is discarded from everybody for good, and counts it", async () => {
      const { lane, pump, quarantine, outboxes } = aQuarantine();
      append(lane, lines(1, 2, 3, 4));
      await pump.kick();
      expect(quarantine.discard({ event: "other" })).toBe(0);
      expect(quarantine.discard({ event: "e", distinct_id: "u", script: "scrub" })).toBe(2);
      expect([quarantine.count, quarantine.discarded, quarantine.page({}).total]).toEqual([0, 2, 0]);
      await pump.kick();
      expect(seen(outboxes.kafka)).toEqual([1, 3]);
    });

    it("holds what a restriction has marked where the team has no scripts, and clears the mark when it is released", async () => {
      const { lane, pump, quarantine, outboxes } = aPump();
      const nested = line(2, {
        properties: { quarantine: "no mark", text: '"quarantine":"' },
        source: '"quarantine":"',
      });
      append(lane, [line(1, { quarantine: "restriction 1" }), nested]);
      await pump.kick();
      expect(seen(outboxes.hook)).toEqual([2]);
      expect(quarantine.page({ script: "restriction" }).quarantined).toMatchObject([{ message: "restriction 1" }]);
      await quarantine.release({ script: "restriction" }, () => Promise.resolve());
      await pump.kick();
      expect(outboxes.hook?.lines).toEqual([nested, line(1)]);
    });

    it("gives a destination that was behind what the others got, not what they did not get, and new failures as dead letters", async () => {
      const { lane, pump, outboxes, state, script, quarantine, health } = aQuarantine();
      const hook = outboxes.hook as FakeOutbox;
      hook.state = "full";
      append(lane, lines(1, 2));
      let waits = 0;
      let pending: Record<string, number> = {};
      state.onWait = () => {
        waits++;
        if (waits === 2) {
          script.isBroken = false;
          append(lane, lines(4));
        }
        if (waits === 10) {
          const parts = { name: "l", team: "acme", snapshot: null, lane, quarantine, health, pump, refused: {} };
          pending = laneStatus(parts).pending;
          script.isBroken = true;
          hook.state = "ok";
        }
      };
      await pump.kick();
      // The second event is in the quarantine, so it waits for nobody.
      expect(pending).toEqual({ hook: 2 });
      expect([seen(outboxes.kafka), quarantine.count]).toEqual([[1, 4], 1]);
      expect([seen(hook), hook.seqs]).toEqual([
        [1, 4],
        [1, 3],
      ]);
      expect(hook.dead).toEqual([
        {
          line: line(4),
          reason:
            "kept back by script scrub (even); it is a dead letter because other destinations may have it already",
        },
      ]);
    });

    it.each([
      [
        "what an outbox has from before a crash is not held: it would be there twice (invariant 2)",
        "ok" as const,
        [2],
        0,
      ],
      ["what no outbox has is held after a crash (invariant 2)", "unreachable" as const, [], 1],
    ])("%s", async (_, before, delivered, held) => {
      const world = aQuarantine();
      const { outboxes, script, state } = world;
      script.isBroken = false;
      append(world.lane, lines(2));
      for (const outbox of Object.values(outboxes)) outbox.state = before;
      // It dies before its position is saved.
      state.onWait = () => {
        throw new Error("crash");
      };
      await world.pump.kick().catch(() => {});
      expect(seen(outboxes.hook)).toEqual(delivered);
      state.onWait = () => {};
      for (const outbox of Object.values(outboxes)) outbox.state = "ok";
      script.isBroken = true;
      const { pump, quarantine } = world.open();
      await pump.kick();
      expect([seen(outboxes.hook), outboxes.hook?.dead, quarantine.count]).toEqual([delivered, [], held]);
    });

    it("makes dead letters of what it has no room for, and stays with that after a crash", async () => {
      const world = aQuarantine({ room: { maxCount: 1, maxBytes: 1_000 } });
      const hook = world.outboxes.hook as FakeOutbox;
      append(world.lane, lines(2, 3, 4, 5));
      const take = hook.append.bind(hook);
      hook.append = () => NEVER as never;
      void world.pump.kick();
      await vi.waitFor(() => expect(world.outboxes.kafka?.through).toBe(4));
      hook.append = take;
      const { pump, quarantine } = world.open();
      quarantine.discard({});
      await pump.kick();
      for (const outbox of Object.values(world.outboxes)) {
        expect([seen(outbox), outbox.dead.map(({ line: text }) => text)]).toEqual([[3, 4, 5], [line(4)]]);
        expect(outbox.dead[0]?.reason).toContain("the quarantine is full");
      }
      expect([quarantine.count, quarantine.discarded]).toEqual([0, 1]);
    });

    it("stops a release where the lane is full, with nothing lost", async () => {
      const { lane, pump, quarantine } = aQuarantine({ backlogBytes: 200 });
      for (const n of [2, 4, 6]) {
        append(lane, lines(n));
        await pump.kick();
      }
      append(lane, lines(1));
      await expect(quarantine.release({}, () => Promise.resolve())).rejects.toMatchObject({ code: "lane_full" });
      expect([quarantine.count, quarantine.released, lane.backlog]).toEqual([3, 0, 1]);
    });
  });

  it("keeps the books whatever happens: random traffic, outages and restarts (invariants 2, 3, 5)", async () => {
    const action = fc.oneof(
      fc.record({ do: fc.constant("append" as const), count: fc.integer({ min: 1, max: 700 }) }),
      fc.record({
        do: fc.constant("state" as const),
        outbox: fc.constantFrom("hook", "kafka"),
        state: fc.constantFrom("ok" as const, "full" as const, "unreachable" as const),
      }),
      fc.constant({ do: "crash" as const }),
    );
    await fc.assert(
      fc.asyncProperty(fc.array(action, { maxLength: 15 }), async (actions) => {
        const world = aPump();
        let { lane, pump } = world;
        let count = 0;
        for (const step of actions) {
          if (step.do === "append") {
            append(lane, numbers(step.count, count));
            count += step.count;
          } else if (step.do === "state") (world.outboxes[step.outbox] as FakeOutbox).state = step.state;
          else {
            let left = 3;
            world.state.onWait = () => {
              if (--left <= 0) throw new Error("crash");
            };
            await pump.kick().catch(() => {});
            ({ lane, pump } = world.open());
          }
          world.state.waits = 0;
        }
        world.state.onWait = () => {};
        for (const outbox of Object.values(world.outboxes)) outbox.state = "ok";
        await pump.kick();
        for (const outbox of Object.values(world.outboxes)) expect(outbox.lines).toEqual(numbers(count));
      }),
      { numRuns: 50 },
    );
  });
});
