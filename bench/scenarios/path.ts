import { PathRig } from "../path-rig.ts";
import { median, type Row } from "../report.ts";
import type { Scenario } from "./scenario.ts";

const CONNECTIONS = 64;
const BACKLOG_EVENTS = 200_000;
const ROUND_MS = 8_000;
/** The first seconds show a pump that still catches up, not the steady state. */
const SETTLE_MS = 2_000;
const DELAY_ROUND_MS = 10_000;
const ROUNDS = 2;

export const path: Scenario = {
  name: "path",
  about: "capture, one script, one local webhook in batches of 100: rate, share of a saturated machine, delay",
  run: async () => {
    const unfair = await PathRig.start({ fair: false });
    const alone: number[] = [];
    for (let round = 0; round < ROUNDS; round++) alone.push(await unfair.drainRate(BACKLOG_EVENTS, CONNECTIONS));
    await unfair.stop();

    const rig = await PathRig.start({ fair: true });
    const [delivered, accepted, captured]: number[][] = [[], [], []];
    for (let round = 0; round < ROUNDS; round++) {
      const rates = await rig.saturated(CONNECTIONS, ROUND_MS, SETTLE_MS);
      delivered?.push(rates.delivered);
      accepted?.push(rates.accepted);
      captured?.push(await rig.captureRate(CONNECTIONS, ROUND_MS / 2));
    }
    const [through, taken, capture] = [delivered, accepted, captured].map((rates) => median(rates ?? [])) as [
      number,
      number,
      number,
    ];
    const half = await rig.delay(taken / 2, DELAY_ROUND_MS);
    const halfOfCapture = await rig.delay(capture / 2, DELAY_ROUND_MS);
    const memory = rig.headwater.rss();
    await rig.stop();

    const mib = (bytes: number) => bytes / 1024 ** 2;
    const drain = { what: "events/s of a backlog with no traffic beside it", value: median(alone) };
    const rows: Row[] = [
      { what: "path alone, draining", value: drain.value, unit: "events/s" },
      {
        what: "path with capture saturated: delivered",
        value: through,
        unit: "events/s",
        baseline: drain,
        atLeast: 0.4,
      },
      { what: "path with capture saturated: accepted", value: taken, unit: "events/s", baseline: drain },
      { what: "answer to delivery at half of that rate, p50", value: half.p50Ms, unit: "ms" },
      { what: "answer to delivery at half of that rate, p99", value: half.p99Ms, unit: "ms", atMost: 2_000 },
      {
        what: "answer to delivery at half of what capture takes with nothing behind it, p99",
        value: halfOfCapture.p99Ms,
        unit: "ms",
        atMost: 2_000,
      },
      { what: "core process, peak resident", value: mib(memory.core.peakBytes), unit: "MiB" },
      { what: "sandbox process, peak resident", value: mib(memory.sandbox.peakBytes), unit: "MiB" },
    ];
    return rows;
  },
};
