import { describe, expect, it } from "vitest";
import { FakeClock } from "../../../shared/testing/fake-clock.ts";
import { parseAddress } from "../address.ts";
import { mmdbFile } from "../testing/mmdb-file.ts";
import { GeoFile } from "./geo-file.ts";

const NAME = "my places.mmdb";
const MINUTE_MS = 60_000;
const fileOf = (city: string) => mmdbFile({ networks: { "203.0.113.0/24": { city: { names: { en: city } } } } });

/** A folder with one file in it, which can be replaced, and taken away. */
function aFolder() {
  const calls: string[] = [];
  let content: { bytes: Uint8Array<ArrayBuffer>; changed: string } | null = null;
  const files = {
    fetch: async (url: unknown, init?: RequestInit) => {
      calls.push(`${init?.method} ${url}`);
      if (content === null) return new Response("Not found", { status: 404 });
      const headers = { "content-length": String(content.bytes.length), "last-modified": content.changed };
      return new Response(init?.method === "HEAD" ? null : new Blob([content.bytes]).stream(), { headers });
    },
  };
  const put = (bytes: Uint8Array | null, changed: string) => {
    content = bytes === null ? null : { bytes: new Uint8Array(bytes), changed };
  };
  return { calls, files: files as Pick<Fetcher, "fetch">, put };
}

function makeFile() {
  const folder = aFolder();
  const clock = new FakeClock();
  const logs: string[] = [];
  const waited: Promise<unknown>[] = [];
  const timers: { ms: number; fire(): void }[] = [];
  const file = new GeoFile({
    files: folder.files,
    name: NAME,
    clock,
    timer: (ms) => {
      const { promise, resolve } = Promise.withResolvers<void>();
      timers.push({ ms, fire: resolve });
      return { done: promise, cancel: () => {} };
    },
    waitUntil: (promise) => void waited.push(promise),
    log: ({ level, message }) => void logs.push(`${level}: ${message}`),
  });
  const city = async () => (await file.lookup())?.(parseAddress("203.0.113.7")!)?.city;
  /** A request a minute later, and one that sees what it has read. */
  const later = async () => {
    clock.advance(MINUTE_MS);
    await city();
    await Promise.all(waited);
    return city();
  };
  return { ...folder, clock, logs, timers, file, city, later };
}

describe("GeoFile", () => {
  it("is read once, by the first request, for all", async () => {
    const { calls, city, put } = makeFile();
    put(fileOf("Berlin"), "Mon");
    expect(await Promise.all([city(), city()])).toEqual(["Berlin", "Berlin"]);
    expect(await city()).toBe("Berlin");
    expect(calls).toEqual(["HEAD http://files/my%20places.mmdb", "GET http://files/my%20places.mmdb"]);
  });

  it("is looked at each minute, and read again only where it has changed", async () => {
    const { calls, city, later, put } = makeFile();
    put(fileOf("Berlin"), "Mon");
    await city();
    expect(await later()).toBe("Berlin");
    put(fileOf("Munich"), "Tue");
    expect(await later()).toBe("Munich");
    expect(calls.map((call) => call.split(" ")[0])).toEqual(["HEAD", "GET", "HEAD", "HEAD", "GET"]);
  });

  it.each<[string, Uint8Array | null, string]>([
    ["is gone", null, "is not there"],
    ["is half written", fileOf("Munich").subarray(0, 100), "is no MaxMind database (.mmdb), or has lost its end"],
  ])("keeps what it has read where the file %s, and says so once", async (_what, bytes, cause) => {
    const { city, later, logs, put } = makeFile();
    put(fileOf("Berlin"), "Mon");
    await city();
    put(bytes, "Tue");
    expect(await later()).toBe("Berlin");
    expect(await later()).toBe("Berlin");
    expect(logs).toEqual([`warn: the GeoIP file ${NAME} cannot be read: ${cause}`]);
    put(fileOf("Munich"), "Wed");
    expect(await later()).toBe("Munich");
    expect(logs.slice(1)).toEqual([`info: the GeoIP file ${NAME} can be read again`]);
  });

  it("lets requests go on without places where it takes too long", async () => {
    const { file, timers } = makeFile();
    const lookup = file.lookup();
    timers[0]!.fire();
    expect(timers).toMatchObject([{ ms: 1_000 }]);
    expect(await lookup).toBeNull();
  });
});
