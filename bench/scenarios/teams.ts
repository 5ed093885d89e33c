import { BatchTemplate } from "../events.ts";
import { median, type Row } from "../report.ts";
import { TeamsRig } from "../teams-rig.ts";
import type { Scenario } from "./scenario.ts";

const BATCH = 500;
const TEAMS = 1_000;
/** Each team has a batch a round. */
const ROUNDS = 3;
const ONE_TEAM_BATCHES = 500;
const WARM_BATCHES = 100;
const NEW_BUNDLES = 200;
/** A team's first event after publishing. */
const FIRST_EVENT_MS = 20;
const MIB = 1024 ** 2;

function lines(): string[] {
  const { batch } = JSON.parse(new BatchTemplate("http://127.0.0.1", "phc_bench", BATCH).body) as { batch: object[] };
  const rest = { ip: "203.0.113.7", received_at: "2026-01-01T00:00:01.000Z", source: "posthog" };
  return batch.map((event) => JSON.stringify({ ...event, ...rest }));
}

export const teams: Scenario = {
  name: "teams",
  about: `batches of ${BATCH} of ${TEAMS} teams in turn through one sandbox process against those of one team, and the first event of new bundles`,
  run: async () => {
    const rig = await TeamsRig.start();
    const events = lines();
    const [one] = await rig.bundles(1);
    const many = await rig.bundles(TEAMS);
    for (let i = 0; i < WARM_BATCHES; i++) await rig.run(one!, events);
    const oneTeam = await rateOf(ONE_TEAM_BATCHES, () => rig.run(one!, events));
    const rounds: number[] = [];
    for (let round = 0; round < ROUNDS; round++) {
      rounds.push(await rateOf(TEAMS, (i) => rig.run(many[i]!, events)));
    }
    console.log(`  rounds over ${TEAMS} teams: ${rounds.map(Math.round).join(", ")} events/s`);
    const firsts: number[] = [];
    for (const bundle of await rig.bundles(NEW_BUNDLES)) firsts.push(await rig.run(bundle, events.slice(0, 1)));
    firsts.sort((a, b) => a - b);
    const { residentBytes, restarts } = rig;
    await rig.stop();
    if (restarts > 0) throw new Error(`bench: the sandbox was started again ${restarts} times`);
    return rowsOf({ oneTeam, rounds, firsts, residentBytes });
  },
};

async function rateOf(batches: number, run: (batch: number) => Promise<unknown>): Promise<number> {
  const started = performance.now();
  for (let i = 0; i < batches; i++) await run(i);
  return (batches * BATCH) / ((performance.now() - started) / 1_000);
}

interface Measured {
  oneTeam: number;
  rounds: number[];
  firsts: number[];
  residentBytes: number;
}

function rowsOf({ oneTeam, rounds, firsts, residentBytes }: Measured): Row[] {
  const first = (share: number) => firsts[Math.ceil(firsts.length * share) - 1] ?? Number.NaN;
  return [
    {
      ...{ what: `events of ${TEAMS} teams in turn, batches of ${BATCH}`, value: median(rounds), unit: "events/s" },
      baseline: { what: "events/s of one team", value: oneTeam },
    },
    {
      ...{ what: `the same in round ${ROUNDS}`, value: rounds.at(-1) ?? Number.NaN, unit: "events/s", atLeast: 0.9 },
      baseline: { what: "events/s in round 1", value: rounds[0] ?? Number.NaN },
    },
    ...[0.5, 0.99].map((share) => ({
      ...{
        what: `first event of a new bundle, p${share * 100}`,
        value: first(share),
        unit: "ms",
        atMost: FIRST_EVENT_MS,
      },
      note: `${NEW_BUNDLES} bundles`,
    })),
    {
      what: `memory of the sandbox process after ${TEAMS} teams`,
      value: residentBytes / MIB,
      unit: "MiB",
      atMost: 1_024,
    },
  ];
}
