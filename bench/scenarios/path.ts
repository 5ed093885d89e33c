import { PathRig } from "../path-rig.ts";
import { median, type Row } from "../report.ts";
import type { Scenario } from "./scenario.ts";

const CONNECTIONS = 64;
const BACKLOG_EVENTS = 200_000;
const ROUND_MS = 5_000;
const DELAY_ROUND_MS = 10_000;
const ROUNDS = 2;

export const path: Scenario = {
  name: "path",
  about:
    "capture, one script, one local webhook in batches of 100: rate of a draining backlog, delay at half of capture's rate",
  run: async () => {
    const rig = await PathRig.start();
    await rig.drainRate(20_000, CONNECTIONS);
    const captured: number[] = [];
    const drained: Awaited<ReturnType<PathRig["drainRate"]>>[] = [];
    for (let round = 0; round < ROUNDS; round++) {
      captured.push(await rig.captureRate(CONNECTIONS, ROUND_MS));
      drained.push(await rig.drainRate(BACKLOG_EVENTS, CONNECTIONS));
    }
    const capture = median(captured);
    const delay = await rig.delay(capture / 2, DELAY_ROUND_MS);
    const memory = rig.headwater.rss();
    await rig.stop();
    const mib = (bytes: number) => bytes / 1024 ** 2;
    const rows: Row[] = [
      {
        what: "path: delivered events/s of a backlog",
        note: drained.every(({ alone }) => alone) ? "no traffic beside it" : "capture beside it: no backlog built up",
        value: median(drained.map(({ rate }) => rate)),
        unit: "events/s",
        baseline: { what: "events/s captured with no destination", value: capture },
      },
      { what: "answer to delivery at half of capture's rate, p50", value: delay.p50Ms, unit: "ms" },
      { what: "answer to delivery at half of capture's rate, p99", value: delay.p99Ms, unit: "ms", atMost: 2_000 },
      { what: "core process, peak resident", value: mib(memory.core.peakBytes), unit: "MiB" },
      { what: "sandbox process, peak resident", value: mib(memory.sandbox.peakBytes), unit: "MiB" },
    ];
    return rows;
  },
};
