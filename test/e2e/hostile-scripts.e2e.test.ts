import { afterEach, expect, it } from "vitest";
import { type Headwater, imbalance, startHeadwater } from "./headwater.ts";
import { Traffic } from "./traffic.ts";
import { sleep } from "./wait.ts";
import { startWebhookSink, type WebhookSink } from "./webhook-sink.ts";

const ATTACK_MS = Number(process.env.ATTACK_S ?? 10) * 1_000;
/** Three kills, each noticed by a probe, and restarts between them. */
const SETTLE_TIMEOUT_MS = 180_000;

interface ScriptHealth {
  id: string;
  errors: number;
  kills: number;
  quarantined: boolean;
  last_error: string | null;
}

const running: { stop(): Promise<unknown> }[] = [];
afterEach(async () => {
  for (const thing of running.splice(0)) await thing.stop();
});

async function startTwoTeams(
  code: string,
): Promise<{ headwater: Headwater; culprit: WebhookSink; bystander: WebhookSink }> {
  const [culprit, bystander] = await Promise.all([
    startWebhookSink({ keep: "uuids" }),
    startWebhookSink({ keep: "uuids" }),
  ]);
  const team = (id: string, scripts: object[], sink: WebhookSink) => ({
    id,
    tokens: [`phc_${id}`],
    transformations: scripts,
    destinations: [{ id: "hook", kind: "webhook", url: sink.url, batch: { max_events: 100, max_wait_ms: 100 } }],
  });
  const harmless = { id: "harmless", code: "export const transform = (event) => event;" };
  const headwater = await startHeadwater({
    config: {
      teams: [team("culprit", [harmless, { id: "hostile", code }], culprit), team("bystander", [harmless], bystander)],
    },
  });
  running.push(headwater, culprit, bystander);
  return { headwater, culprit, bystander };
}

const missing = (sink: WebhookSink, traffic: Traffic): string[] => {
  const counts = sink.counts();
  return [...traffic.answered.keys()].filter((uuid) => !counts.has(uuid));
};

it.each([
  ["loops for ever", "export function transform() { while (true) {} }"],
  [
    "allocates without bound",
    "const kept = [];\nexport function transform() { for (;;) kept.push(new Array(1_000_000).fill(kept.length)); }",
  ],
  [
    "backtracks for ever",
    'export function transform(event) { event.properties.match = /^(a+)+$/.test("a".repeat(60) + "!"); return event; }',
  ],
])(
  "invariant 4: a script that %s harms neither capture nor another team, is named, and loses nothing of its own team",
  async (_, code) => {
    const { headwater, culprit, bystander } = await startTwoTeams(code);
    const [hostile, innocent] = ["culprit", "bystander"].map(
      (team) => new Traffic(headwater, { token: `phc_${team}`, perSecond: 20, batch: 10 }),
    ) as [Traffic, Traffic];
    hostile.start();
    innocent.start();
    await sleep(ATTACK_MS);
    await Promise.all([hostile.stop(), innocent.stop()]);
    expect([hostile.statuses, innocent.statuses].map((statuses) => Object.keys(statuses))).toEqual([["200"], ["200"]]);

    const settled = { timeoutMs: SETTLE_TIMEOUT_MS };
    await headwater.waitForQuiet("bystander", ["hook"], { accepted: innocent.answered.size, ...settled });
    expect(missing(bystander, innocent)).toEqual([]);
    const books = await headwater.waitForQuiet("culprit", ["hook"], { accepted: hostile.answered.size, ...settled });
    expect(missing(culprit, hostile)).toEqual([]);
    expect(imbalance(books.hook!)).toBe(0);

    const { transformations } = await headwater.api<{ transformations: ScriptHealth[] }>(
      "GET",
      "/api/teams/culprit/transformations",
    );
    console.log(JSON.stringify(transformations));
    const [harmless, named] = transformations;
    expect(named?.id).toBe("hostile");
    expect((named?.errors ?? 0) + (named?.kills ?? 0)).toBeGreaterThan(0);
    expect(named?.last_error).toBeTruthy();
    expect(harmless).toMatchObject({ id: "harmless", errors: 0, kills: 0, quarantined: false });
    const others = await headwater.api<{ transformations: ScriptHealth[] }>(
      "GET",
      "/api/teams/bystander/transformations",
    );
    expect(others.transformations[0]).toMatchObject({ errors: 0, kills: 0, quarantined: false });
  },
  400_000,
);
