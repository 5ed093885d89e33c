import { expect } from "vitest";
import { type Headwater, imbalance } from "../headwater.ts";
import type { WebhookSink } from "../webhook-sink.ts";
import { type HostileScript, moduleOf } from "./hostile-script.ts";

const POLICIES = ["pass", "drop", "quarantine"] as const;
const EVENTS = 3;
/** Deaths, and what is waited for between them. */
const SETTLE_TIMEOUT_MS = 60_000;

interface Health {
  id: string;
  errors: number;
  kills: number;
  quarantined: boolean;
  last_error: string | null;
}

/** A team with one hostile script, between two that are not; events of its own, and what has to become of them. */
export class HostileTeam {
  readonly id: string;
  readonly script: HostileScript;
  readonly policy: (typeof POLICIES)[number] | "dead_letter";
  readonly #uuids: string[];

  constructor(script: HostileScript, position: number, events = EVENTS) {
    this.id = `hostile-${position}`;
    this.script = script;
    this.policy = script.isDestination ? "dead_letter" : (POLICIES[position % POLICIES.length] as "pass");
    this.#uuids = Array.from({ length: script.events ?? events }, () => crypto.randomUUID());
  }

  config(sink: WebhookSink): object {
    const { code, isDestination, shared } = this.script;
    const own = { code: moduleOf(code), on_error: this.policy, inputs: { deep: { list: [1] } } };
    const honest = (id: string) => ({
      id,
      code: `export const transform = (event) => ({ ...event, properties: { ...event.properties, ${id}: [1].concat(2).length } });`,
    });
    return {
      id: this.id,
      tokens: [`phc_${this.id}`],
      ...(shared === undefined ? {} : { modules: [{ id: "shared", code: shared }] }),
      transformations: [honest("before"), ...(isDestination ? [] : [{ id: "hostile", ...own }]), honest("after")],
      destinations: [
        {
          ...{ id: "hook", kind: "webhook", url: sink.url, batch: { max_wait_ms: 20 } },
          ...(isDestination ? { transformation: own } : {}),
        },
      ],
    };
  }

  async send(headwater: Headwater): Promise<number> {
    const batch = this.#uuids.map((uuid) => ({ event: "tick", distinct_id: "user", uuid, properties: {} }));
    const response = await headwater.send({ api_key: `phc_${this.id}`, batch });
    await response.arrayBuffer();
    return response.status;
  }

  /** The books balance, every event has gone the way that the policy says, and the script that failed is named. */
  async expectSettled(headwater: Headwater, sink: WebhookSink): Promise<Health> {
    const { id, script } = this;
    const count = this.#uuids.length;
    const { hook } = await headwater.waitForQuiet(id, ["hook"], { accepted: count, timeoutMs: SETTLE_TIMEOUT_MS });
    const hasFailed = script.ends !== "nothing";
    const way = hasFailed ? this.policy : "pass";
    const terms = {
      delivered: way === "pass" ? count : 0,
      dropped: way === "drop" ? count : 0,
      dead: way === "quarantine" || way === "dead_letter" ? count : 0,
    };
    expect(hook, script.what).toMatchObject({ accepted: count, ...terms });
    expect(imbalance(hook!)).toBe(0);
    if (way === "pass") this.#expectDelivered(sink, hasFailed);
    return this.#expectNamed(headwater, count);
  }

  #expectDelivered(sink: WebhookSink, hasFailed: boolean): void {
    const delivered = sink.accepted.flatMap(({ events }) => events).filter(({ uuid }) => this.#uuids.includes(uuid));
    expect(new Set(delivered.map(({ uuid }) => uuid)), this.script.what).toEqual(new Set(this.#uuids));
    for (const { properties } of delivered) {
      expect(properties, this.script.what).toMatchObject({ before: 2, after: 2 });
      expect(properties.$transformations_failed, this.script.what).toEqual(hasFailed ? ["hostile"] : undefined);
      if (!hasFailed) expect(properties.got, this.script.what).toEqual(this.script.got);
    }
  }

  async #expectNamed(headwater: Headwater, count: number): Promise<Health> {
    const { transformations } = await headwater.api<{ transformations: Health[] }>(
      "GET",
      `/api/teams/${this.id}/transformations`,
    );
    const { what, ends, says = "", isDestination } = this.script;
    const culprit = isDestination ? "destination:hook" : "hostile";
    for (const { id, errors, kills, last_error: message } of transformations) {
      if (id !== culprit) expect({ what, id, errors, kills, message }).toMatchObject({ errors: 0, kills: 0 });
    }
    const named = transformations.find(({ id }) => id === culprit) as Health;
    const expected = {
      nothing: { errors: 0, kills: 0 },
      error: { errors: count, kills: 0, last_error: expect.stringContaining(says) },
      fuel: { errors: count, kills: 0, last_error: expect.stringMatching(/ran out of fuel after \d+ steps/) },
      kill: { kills: expect.any(Number), last_error: expect.stringContaining("the sandbox had to be killed") },
      publish: {},
    }[ends];
    expect(named, what).toMatchObject(expected);
    if (ends === "kill") expect(named.kills, what).toBeGreaterThan(0);
    return named;
  }
}
