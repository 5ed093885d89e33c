import { PathRig } from "../path-rig.ts";
import { inTurns, type Row } from "../report.ts";
import type { Scenario } from "./scenario.ts";

const ALONE_CONNECTIONS = 64;
const BACKLOG_EVENTS = 200_000;
const SATURATED_MS = 15_000;
/** The first seconds show a pump that still catches up, not the steady state. */
const SETTLE_MS = 3_000;
const ROUNDS = 2;
/** Where capture slows down to what the path takes, there is no backlog to drain alone: the row has to say so. */
const BURST = "events/s of a burst, capture beside it";

export const fair: Scenario = {
  name: "fair",
  about: "events delivered while capture is saturated against what the path reaches alone",
  run: async () => {
    const rig = await PathRig.start();
    await rig.drainRate(20_000, ALONE_CONNECTIONS);
    const rows: Row[] = [];
    for (const connections of [16, 64]) {
      let alone = true;
      const { baseline, measured } = await inTurns(
        ROUNDS,
        async () => {
          const drained = await rig.drainRate(BACKLOG_EVENTS, ALONE_CONNECTIONS);
          alone &&= drained.alone;
          return drained.rate;
        },
        async () => {
          const { delivered, accepted } = await rig.saturated(connections, SATURATED_MS, SETTLE_MS);
          console.log(`  accepted ${Math.round(accepted)} events/s, delivered ${Math.round(delivered)} meanwhile`);
          return delivered;
        },
      );
      rows.push({
        what: `delivered while capture is saturated, ${connections} connections`,
        value: measured,
        unit: "events/s",
        baseline: { what: alone ? "events/s of a backlog, no traffic beside it" : BURST, value: baseline },
        atLeast: 0.4,
      });
    }
    await rig.stop();
    return rows;
  },
};
