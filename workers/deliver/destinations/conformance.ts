import { afterEach, describe, expect, test } from "vitest";
import { encodeLines } from "../../../shared/ndjson.ts";
import type { ShapedEvent } from "../../../shared/sandbox-api.ts";
import { anEvent } from "../../../shared/testing/builders.ts";
import { FakeClock } from "../../../shared/testing/fake-clock.ts";
import { attempt } from "../attempt.ts";
import { Kept } from "../kept.ts";
import { type LoadedDestination, loadDestination } from "../outbox-config.ts";
import { anHttpSink, type HttpSink, type Received, type Reply } from "../testing/http-sink.ts";
import { nodeConnect } from "../testing/node-connect.ts";
import type { OutboundRequest, Outcome, SendDeps } from "./destination.ts";

/**
 * What holds for every destination that is reached over HTTP, checked against a real local server. The server answers as the
 * destination's own documentation has it; it is no broker.
 */
export interface DestinationSuite {
  kind: string;
  /** The destination's entry of the configuration, secrets left out. */
  settings: (url: string) => Record<string, unknown>;
  /** By path; all are expected to stay out of reasons and answers. */
  secrets: Record<string, string>;
  /** The answer that says that all of these were taken. */
  success: (request: Received) => Reply;
  /** Null where an answer holds for the whole request. */
  perRecord: {
    /** Of three records: taken, failed for now, failed for good; null in the place of an outcome that the protocol cannot say. */
    mixed: Reply;
    expected: Outcome["result"][];
    /** An answer with results for fewer records than were sent, none of them a failure. */
    short: Reply;
  } | null;
  /** What the destination's script can give beside a body. */
  shaped: ShapedEvent["$request"];
  /** What of a request says that an event went as its script shaped it, that is as `bodyOf` has it. */
  bodies: (request: Received) => string[];
}

export const CLOCK = new FakeClock();

export function aRequest(overrides: Partial<OutboundRequest> = {}, lines?: string[]): OutboundRequest {
  const events = lines ?? [1, 2, 3].map((n) => JSON.stringify(anEvent({ distinct_id: `user-${n}` })));
  const tokens = events.map(() => "phc_acme");
  return {
    ...{ team: "acme", destination: "out", acceptedAt: CLOCK.now() },
    id: "req-1",
    events: encodeLines(events),
    count: events.length,
    tokens,
    attempt: 1,
    ...overrides,
  };
}

/** A line as a destination's script leaves it. */
export function aShapedLine($request: object, overrides: Partial<ShapedEvent> = {}): string {
  const { uuid } = anEvent();
  return JSON.stringify({ uuid, event: "$pageview", distinct_id: "user-1", ...overrides, $request });
}

const timers = {
  after: (ms: number, callback: () => void) => {
    const timer = setTimeout(callback, ms);
    return () => clearTimeout(timer);
  },
};

/** Real ones but for the clock; nobody aborts. */
export function aSendDeps(): SendDeps {
  const { signal } = new AbortController();
  return { clock: CLOCK, fetch, connect: nodeConnect, kept: aKept(), signal, print: () => {} };
}

export function aKept(idleMs = 0): Kept {
  return new Kept(timers, idleMs);
}

/** Sends through the outbox's own attempt, settings read as the outbox reads them; one outcome an event. */
export async function deliver(
  kind: string,
  settings: Record<string, unknown>,
  secrets: Record<string, string>,
  request = aRequest(),
  kept = aKept(),
): Promise<Outcome[]> {
  const entry = { id: "out", kind, settings };
  const loaded: LoadedDestination = await loadDestination(
    {
      snapshots: {
        team: async () => ({ team: "acme", version: 1, lanes: 1, tokens: [], bundle: null, destinations: [entry] }),
      },
      sealedSecrets: async () => Object.entries(secrets).map(([field, sealed]) => ({ field, sealed })),
      vault: { open: async (sealed) => sealed },
    },
    "acme",
    "out",
  );
  if (loaded.state !== "ready") throw new Error(loaded.reason);
  const sent = await attempt(loaded, request, { ...aSendDeps(), timers, kept });
  return Array.isArray(sent.outcomes) ? sent.outcomes : Array<Outcome>(request.count).fill(sent.outcomes);
}

const sinks: HttpSink[] = [];

/** A sink that is closed after the test. */
export async function aSink(answer: Parameters<typeof anHttpSink>[0]): Promise<HttpSink> {
  const sink = await anHttpSink(answer);
  sinks.push(sink);
  return sink;
}

export function runDestinationTests(suite: DestinationSuite): void {
  afterEach(async () => {
    await Promise.all(sinks.splice(0).map((sink) => sink.close()));
  });
  const send = async (answer: Parameters<typeof anHttpSink>[0], extra: Record<string, unknown> = {}) => {
    const sink = await aSink(answer);
    return deliver(suite.kind, { ...suite.settings(sink.url), ...extra }, suite.secrets);
  };

  describe(`${suite.kind} as a destination`, () => {
    test("an answer that says so is a delivery of every event", async () => {
      expect((await send(suite.success)).map(({ result }) => result)).toEqual(["delivered", "delivered", "delivered"]);
    });

    test.each([408, 425, 500, 502, 503])("status %i is tried again", async (status) => {
      const [outcome] = await send(() => ({ status, body: "later" }));
      expect(outcome).toMatchObject({ result: "retry", status, response: "later" });
      expect(outcome).not.toHaveProperty("throttled");
    });

    test("429 is throttling, with the wait that Retry-After names in seconds or as a date", async () => {
      const date = new Date(CLOCK.now() + 7_000).toUTCString();
      for (const retryAfter of ["7", date]) {
        const [outcome] = await send(() => ({ status: 429, headers: { "retry-after": retryAfter } }));
        expect(outcome).toMatchObject({ result: "retry", throttled: true, afterMs: 7_000 });
      }
    });

    test.each([400, 404, 422])("status %i is final, and the start of the answer is kept", async (status) => {
      const outcomes = await send(() => ({ status, body: "x".repeat(10_000) }));
      expect(outcomes[2]).toMatchObject({ result: "dead", status, response: "x".repeat(4_096) });
    });

    test("410 switches the destination off", async () => {
      expect((await send(() => ({ status: 410 })))[0]).toMatchObject({ result: "disable", status: 410 });
    });

    test("a redirect is not followed", async () => {
      const elsewhere = await aSink(suite.success);
      const [outcome] = await send(() => ({ status: 307, headers: { location: elsewhere.url } }));
      expect(outcome).toMatchObject({ result: "dead", status: 307, reason: expect.stringContaining("redirect") });
      expect(elsewhere.received).toEqual([]);
    });

    test("no answer in time, or none at all, is tried again", async () => {
      expect((await send(() => "hang", { timeout_ms: 100 }))[0]).toMatchObject({
        result: "retry",
        reason: expect.stringContaining("did not answer in time"),
      });
      expect((await send(() => "drop"))[0]).toMatchObject({
        result: "retry",
        reason: expect.stringContaining("no answer"),
      });
      const [refused] = await deliver(suite.kind, suite.settings("http://127.0.0.1:9"), suite.secrets);
      expect(refused).toMatchObject({ result: "retry" });
    });

    test("secrets are in no reason and no kept answer, even if the destination sends them back (invariant 8)", async () => {
      const secrets = Object.values(suite.secrets);
      for (const status of [200, 400, 410, 429, 500]) {
        const echo = (request: Received) => ({ status, body: JSON.stringify([request.headers, secrets]) });
        const told = JSON.stringify(await send(echo));
        for (const secret of [...secrets, btoa(secrets.join(":"))]) expect(told).not.toContain(secret);
      }
    });

    test("what a script shaped is sent as it shaped it: a text as it is, anything else as JSON, nothing as the event", async () => {
      const sink = await aSink(suite.success);
      const bodies = ['{"as": "it is"}', { a: [1, null] }, 7, null, undefined];
      for (const body of bodies) {
        const request = aRequest({ shaped: true }, [aShapedLine({ ...suite.shaped, body })]);
        expect(await deliver(suite.kind, suite.settings(sink.url), suite.secrets, request)).toEqual([
          { result: "delivered" },
        ]);
      }
      const { uuid } = anEvent();
      expect(sink.received.flatMap(suite.bodies)).toEqual([
        ...['{"as": "it is"}', '{"a":[1,null]}', "7", "null"],
        JSON.stringify({ uuid, event: "$pageview", distinct_id: "user-1" }),
      ]);
    });

    test("what a script shaped is an event like any other where the outbox does not know of a script", async () => {
      const sink = await aSink(suite.success);
      const line = aShapedLine({ ...suite.shaped, body: "shaped" });
      await deliver(suite.kind, suite.settings(sink.url), suite.secrets, aRequest({}, [line]));
      expect(sink.received.flatMap(suite.bodies).join()).toContain("$request");
    });

    test("headers that are no headers are a dead letter, sent to nobody, that tells no value", async () => {
      const sink = await aSink(suite.success);
      const line = aShapedLine({ ...suite.shaped, headers: { name: { hush: "secret-value" } } });
      const [outcome] = await deliver(
        suite.kind,
        suite.settings(sink.url),
        suite.secrets,
        aRequest({ shaped: true }, [line]),
      );
      expect(outcome).toMatchObject({
        result: "dead",
        reason: expect.stringContaining("the destination's script gave"),
      });
      expect(JSON.stringify(outcome)).not.toContain("secret-value");
      expect(sink.received).toEqual([]);
    });

    const { perRecord } = suite;
    if (perRecord === null) return;

    test("every record has the outcome of its own result", async () => {
      const outcomes = await send(() => perRecord.mixed);
      expect(outcomes.map(({ result }) => result)).toEqual(perRecord.expected);
    });

    test("a record without a result is not taken for written", async () => {
      const outcomes = await send(() => perRecord.short);
      expect(outcomes.at(-1)).toMatchObject({ result: "retry" });
    });

    test.each(["", "OK", "null", "{}", "<html>"])("200 with the body %j is not taken for success", async (body) => {
      const outcomes = await send(() => ({ status: 200, body }));
      expect(outcomes.map(({ result }) => result)).toEqual(["retry", "retry", "retry"]);
    });
  });
}
