import { gunzipSync } from "node:zlib";
import { afterEach, beforeEach, expect, test } from "vitest";
import { encodeLines } from "../../shared/ndjson.ts";
import { anEvent } from "../../shared/testing/builders.ts";
import { Archive } from "./archive.ts";
import { aSendDeps } from "./destinations/conformance.ts";
import { type S3Settings, s3 } from "./destinations/s3.ts";
import type { ReadyDestination } from "./outbox-config.ts";
import { Replays, type ReplaysDeps } from "./replays.ts";
import { aDestination, anAppend, bookProblems, OutboxRig, uuidsOf } from "./testing/outbox-rig.ts";
import { anS3Server, S3_KEY, type S3Server } from "./testing/s3-server.ts";
import type { Work } from "./work.ts";

const unpacked = (body: Uint8Array) => new TextDecoder().decode(gunzipSync(body, { maxOutputLength: 1e8 }));

let server: S3Server;
beforeEach(async () => {
  server = await anS3Server("arch", 2);
});
afterEach(() => server.close());

const HOUR_MS = 3_600_000;
const START = Date.UTC(2026, 0, 1);
const iso = (ms: number) => new Date(START + ms).toISOString();

/** An outbox whose destination is the archive. */
function anArchive(batch: Record<string, unknown> = {}) {
  const settings = s3.settings.parse({
    endpoint: server.url,
    bucket: "arch",
    ...S3_KEY,
    batch: { max_wait_ms: 0, ...batch },
  });
  const kind = s3 as unknown as ReadyDestination["kind"];
  const rig = new OutboxRig({ state: "ready", kind, settings, secrets: [], fingerprint: "v1" });
  rig.answer = (work: Work) => s3.send({ ...work, team: "acme", destination: "arc" }, settings, aSendDeps());
  return { rig, settings };
}

/** Writes events "1" to "count", ten minutes apart, in objects of five. */
async function written(count: number): Promise<S3Settings> {
  const { rig, settings } = anArchive({ max_events: 5 });
  const lines = Array.from({ length: count }, (_, i) =>
    JSON.stringify(
      anEvent({ uuid: `${i + 1}`, event: i % 2 === 0 ? "odd" : "even", received_at: iso((i + 1) * 600_000) }),
    ),
  );
  const tokens: [string, number][] = lines.map((_, i) => [`t${i % 2}`, 1]);
  rig.append(anAppend(0, count, { events: encodeLines(lines), tokens }));
  await expect.poll(() => rig.settled().then(() => rig.outbox.book().delivered)).toBe(count);
  expect(server.objects.size).toBe(Math.ceil(count / 5));
  return settings;
}

function replaysInto(rig: OutboxRig, settings: S3Settings, more: Partial<ReplaysDeps> = {}): Replays {
  const { outbox, sql, clock } = rig;
  return new Replays({
    ...{ outbox, sql, clock, log: () => {}, append: () => Promise.reject(new Error("nothing goes elsewhere")) },
    reshape: async (_, lines) => {
      const count = new TextDecoder().decode(lines).split("\n").length;
      const sources = Array.from({ length: count }, (_, i) => i);
      return { ran: count, share: { count, sources, dropped: [], dead: [] }, lines };
    },
    archive: async (team, destination) => new Archive(settings, { team, destination }, aSendDeps()),
    filter: async () => () => true,
    wait: async (ms) => clock.advance(ms),
    ...more,
  });
}

const request = { id: "r", from: "archive" as const, team: "acme", destination: "hook", archive: "arc" };

test("an archive's events of a time come into another destination, with uuids and tokens, counted once more (invariants 5, 7)", async () => {
  const settings = await written(23);
  const rig = new OutboxRig(aDestination());
  const replays = replaysInto(rig, settings);
  replays.start({ ...request, since: iso(4 * 600_000), until: iso(13 * 600_000) });
  await replays.kick();
  rig.drain.kick();
  await rig.settled();
  expect(rig.requests.flatMap(uuidsOf)).toEqual(["4", "5", "6", "7", "8", "9", "10", "11", "12"]);
  expect(rig.requests.flatMap(({ tokens }) => tokens)).toEqual(["t1", "t0", "t1", "t0", "t1", "t0", "t1", "t0", "t1"]);
  expect(JSON.parse(new TextDecoder().decode(rig.requests[0]?.events).split("\n")[0] as string)).toEqual(
    anEvent({ uuid: "4", event: "even", received_at: iso(4 * 600_000) }),
  );
  expect(replays.statuses()).toMatchObject([
    { from: "archive", source: "arc", destination: "hook", state: "done", total: null, replayed: 9, problem: null },
  ]);
  expect(rig.outbox.figures()).toMatchObject({ replayed: 9, lanes: {} });
  expect(bookProblems(rig.outbox)).toEqual([]);
  // Objects of another time are not even read.
  const reads = server.requests.filter((one) => one.startsWith("GET") && !one.includes("list-type"));
  expect(reads).toHaveLength(3);
});

test("restarts between any two steps lose and double nothing (invariant 2)", async () => {
  const settings = await written(23);
  const rig = new OutboxRig(aDestination());
  const start = { ...request, since: iso(0), until: iso(24 * HOUR_MS), events_per_second: 2 };
  replaysInto(rig, settings).start(start);
  for (let lives = 0; lives < 40; lives++) {
    let steps = 0;
    const replays = replaysInto(rig, settings, {
      wait: async (ms) => {
        rig.clock.advance(ms);
        // The process ends here: this one never goes on.
        if (++steps > (lives % 3) + 1) await new Promise(() => {});
      },
    });
    void replays.kick();
    await expect.poll(() => steps > (lives % 3) + 1 || !replays.hasWork).toBe(true);
    rig.crash();
    if (!replays.hasWork) break;
  }
  await rig.advance(10_000);
  const got = rig.requests.flatMap(uuidsOf);
  expect(new Set(got).size).toBe(23);
  expect(rig.outbox.book()).toMatchObject({ accepted: 23, delivered: 23 });
  expect(bookProblems(rig.outbox)).toEqual([]);
});

test("names and the destination's filter choose; what the filter leaves out is counted", async () => {
  const settings = await written(10);
  const rig = new OutboxRig(aDestination());
  const filter = async () => (event: object) => Number((event as { uuid: string }).uuid) > 4;
  const replays = replaysInto(rig, settings, { filter });
  replays.start({ ...request, since: iso(0), until: iso(HOUR_MS * 9), event: "even" });
  await replays.kick();
  rig.drain.kick();
  await rig.settled();
  expect(rig.requests.flatMap(uuidsOf)).toEqual(["6", "8", "10"]);
  expect(rig.outbox.book()).toMatchObject({ accepted: 5, delivered: 3, filtered: 2 });
  expect(replays.statuses()[0]).toMatchObject({ seen: 10, replayed: 5 });
});

test("a store that is away is tried again, and the replay says so", async () => {
  const settings = await written(5);
  const rig = new OutboxRig(aDestination());
  const seen: (string | null | undefined)[] = [];
  server.trouble.push({ status: 500, code: "InternalError" }, { status: 500, code: "InternalError" });
  const replays: Replays = replaysInto(rig, settings, {
    wait: async (ms) => {
      seen.push(replays.statuses()[0]?.problem);
      rig.clock.advance(ms);
    },
  });
  replays.start({ ...request, since: iso(0), until: iso(HOUR_MS) });
  await replays.kick();
  expect(seen).toContain("the archive cannot be listed: status 500, InternalError");
  expect(replays.statuses()[0]).toMatchObject({ state: "done", replayed: 5, problem: null });
});

test("after a crash between the write and its booking the same object is written again, though more events wait (invariant 2)", async () => {
  const { rig } = anArchive();
  const send = rig.answer;
  // The object is there, and nobody hears of it.
  rig.answer = async (work) => {
    await send(work);
    return new Promise(() => {});
  };
  rig.append(anAppend(0, 3));
  await expect.poll(() => server.objects.size).toBe(1);
  rig.crash();
  rig.answer = send;
  rig.append(anAppend(3, 4));
  await expect.poll(() => rig.advance(2_000).then(() => rig.outbox.book().delivered)).toBe(7);
  expect(server.objects.size).toBe(2);
  const uuids = [...server.objects.values()].flatMap((body) =>
    unpacked(body)
      .trimEnd()
      .split("\n")
      .map((line) => JSON.parse(line).uuid as string),
  );
  expect(uuids.toSorted()).toEqual(Array.from({ length: 7 }, (_, i) => `acme:0-${i + 1}`));
  expect(bookProblems(rig.outbox)).toEqual([]);
});

test("an object larger than a row survives a failure and a restart byte for byte", async () => {
  const { rig } = anArchive({ max_bytes: 8_000_000 });
  rig.answer = () => ({ outcomes: { result: "retry", reason: "away" } });
  const text = "x".repeat(300_000);
  const lines = Array.from({ length: 12 }, (_, i) => JSON.stringify({ uuid: `${i}`, text: `${text}${i}` }));
  for (const [i, line] of lines.entries()) rig.append(anAppend(i, 1, { events: encodeLines([line]) }));
  await rig.advance(1_000);
  rig.crash();
  await rig.advance(100_000);
  const sizes = rig.requests.map(({ events }) => events.length);
  expect(Math.max(...sizes)).toBeGreaterThan(2_500_000);
  const whole = rig.requests.filter(({ count }) => count > 5);
  expect(whole.length).toBeGreaterThan(1);
  expect(Buffer.from(whole.at(-1)!.events).equals(Buffer.from(whole[0]!.events))).toBe(true);
  expect(bookProblems(rig.outbox)).toEqual([]);
});
