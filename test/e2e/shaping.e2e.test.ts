import { afterAll, beforeAll, expect, it } from "vitest";
import { anHttpSink, type HttpSink, type Received } from "../../workers/deliver/testing/http-sink.ts";
import { type Headwater, imbalance, startHeadwater } from "./headwater.ts";
import { until } from "./wait.ts";

let plain: HttpSink;
let crm: HttpSink;
let other: HttpSink;
let headwater: Headwater;

/** Of the destination "crm". `refund`: what it does with refunds. */
const script = (refund: string) => `
  import { label } from "names";
  export function transform(event, ctx) {
    const { order } = event.properties;
    switch (event.event) {
      case "noise": return null;
      case "order": return {
        url: ctx.inputs.other + "/orders/" + order,
        headers: { "x-key": ctx.credentials.key, "content-type": "text/csv" },
        body: label(order) + ";" + event.distinct_id,
      };
      case "cart": return ["a", "b"].map((item) => ({ body: { item, of: event.uuid } }));
      case "audit": return { headers: { "x-audit": "1" } };
      case "refund": ${refund}
      default: return event;
    }
  }`;

const configOf = (refund: string) => ({
  teams: [
    {
      id: "acme",
      tokens: ["phc_acme"],
      modules: [{ id: "names", code: "export const label = (order) => 'order ' + order;" }],
      transformations: [
        {
          id: "mark",
          code: "export const transform = (e) => ({ ...e, properties: { ...e.properties, seen: true } });",
        },
      ],
      destinations: [
        { id: "plain", kind: "webhook", url: plain.url, batch: { max_wait_ms: 100 } },
        {
          ...{
            id: "crm",
            kind: "webhook",
            url: `${crm.url}/in`,
            authorization: "Bearer of-the-crm",
            ordered: true,
            concurrency: 1,
          },
          ...{ batch: { max_events: 100, max_wait_ms: 100 }, filter: { not: { event: { eq: "private" } } } },
          transformation: {
            code: script(refund),
            inputs: { other: other.url },
            credentials: { key: "key-of-the-script" },
          },
        },
      ],
    },
  ],
});

beforeAll(async () => {
  [plain, crm, other] = await Promise.all([anHttpSink(() => ({})), anHttpSink(() => ({})), anHttpSink(() => ({}))]);
  headwater = await startHeadwater({ config: configOf('throw new Error("no refunds yet");') });
});

afterAll(async () => {
  await headwater?.stop();
  await Promise.all([plain, crm, other].map((sink) => sink?.close()));
});

const NAMES = ["pageview", "order", "noise", "cart", "private", "refund", "refund", "pageview", "audit"];
const uuidOf = (index: number) => `01890a5d-ac96-774b-bcce-b302099a80${index + 10}`;

it("a destination's script shapes, fans out, drops and fails for that destination alone, and what it failed on is sent once it is mended (invariant 5)", async () => {
  const batch = NAMES.map((event, i) => ({
    event,
    uuid: uuidOf(i),
    distinct_id: `user-${i}`,
    properties: { order: i },
  }));
  expect((await headwater.send({ api_key: "phc_acme", batch })).status).toBe(200);
  const books = await headwater.waitForQuiet("acme", ["plain", "crm"], { accepted: NAMES.length });
  expect(books.plain).toMatchObject({ accepted: 9, delivered: 9, dead: 0 });
  // The cart is two.
  expect(books.crm).toMatchObject({ accepted: 10, delivered: 6, dropped: 1, filtered: 1, dead: 2, pending: 0 });
  expect(Object.values(books).map(imbalance)).toEqual([0, 0]);

  expect(plain.received.flatMap(eventsOf).map(({ event }) => event)).toEqual(NAMES);
  const [order] = other.received as [Received];
  expect([order.method, order.path, order.body]).toEqual(["POST", "/orders/1", "order 1;user-1"]);
  expect(order.headers).toMatchObject({ "x-key": "key-of-the-script", "content-type": "text/csv" });
  expect(order.headers).toMatchObject({ "webhook-id": uuidOf(1) });
  expect(order.headers).not.toHaveProperty("authorization");
  // The shaped ones alone, the events with the team's own mark.
  expect(crm.received.map(({ path, headers }) => [path, headers.authorization])).toEqual(
    crm.received.map(() => ["/in", "Bearer of-the-crm"]),
  );
  const bodies = crm.received.map(({ body }) => JSON.parse(body) as object);
  // One user's in their order; nobody waits for another user.
  const shaped = bodies.filter((body) => !Array.isArray(body));
  expect(shaped.filter((body) => "item" in body)).toEqual([
    { item: "a", of: uuidOf(3) },
    { item: "b", of: uuidOf(3) },
  ]);
  expect(shaped.filter((body) => !("item" in body))).toEqual([
    expect.objectContaining({ uuid: uuidOf(8), event: "audit", properties: { order: 8, seen: true } }),
  ]);
  expect(bodies.filter(Array.isArray).flat()).toEqual([
    expect.objectContaining({ uuid: uuidOf(0), properties: { order: 0, seen: true } }),
    expect.objectContaining({ uuid: uuidOf(7) }),
  ]);

  const { dead_letters: letters } = await headwater.deadLetters("acme", "crm");
  expect(letters).toMatchObject(
    [5, 6].map((i) => ({
      uuid: uuidOf(i),
      event: "refund",
      attempts: 0,
      unshaped: true,
      body: { properties: { seen: true } },
    })),
  );
  expect(letters[0]?.reason).toMatch(/^the destination's script failed: Error: no refunds yet/);
});

it("a replay before the script is mended leaves everything where it is", async () => {
  expect(await replay()).toMatchObject({ replayed: 0 });
  expect(await headwater.flow("acme")).toMatchObject({ crm: { accepted: 10, delivered: 6, dead: 2 } });
});

it("a replay after it sends what the mended script makes of them", async () => {
  const before = crm.received.length;
  await headwater.api(
    "PUT",
    "/api/config",
    configOf("return { body: { refund: order, seen: event.properties.seen } };"),
  );
  expect(await replay()).toMatchObject({ replayed: 2 });
  await until(() => crm.received.length === before + 2, {
    timeoutMs: 20_000,
    describe: () => `${crm.received.length - before} of 2 replayed requests`,
  });
  expect(crm.received.slice(before).map(({ body, headers }) => [JSON.parse(body), headers["webhook-id"]])).toEqual([
    [{ refund: 5, seen: true }, uuidOf(5)],
    [{ refund: 6, seen: true }, uuidOf(6)],
  ]);
  const { crm: book } = await headwater.waitForQuiet("acme", ["crm"]);
  expect(book).toMatchObject({ accepted: 10, delivered: 8, dropped: 1, filtered: 1, dead: 0, pending: 0 });
});

it("the script's credentials are in no configuration that is shown, in no log and in no dead letter (invariant 8)", async () => {
  const shown = JSON.stringify([await headwater.api("GET", "/api/config"), await headwater.deadLetters("acme", "crm")]);
  expect(shown).not.toContain("key-of-the-script");
  expect(headwater.output).not.toContain("key-of-the-script");
});

function replay(): Promise<{ replayed: number }> {
  return headwater.api("POST", "/api/teams/acme/dead-letters/replay", { destination: "crm" });
}

function eventsOf({ body }: Received): { event: string }[] {
  return JSON.parse(body) as { event: string }[];
}
