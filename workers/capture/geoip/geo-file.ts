import type { Clock } from "../../../shared/clock.ts";
import type { Timer } from "../../../shared/timer.ts";
import { Refreshed } from "../quota/refreshed.ts";
import type { GeoLookup } from "./event-place.ts";
import { GeoDatabase } from "./geo-database.ts";
import { MmdbError } from "./mmdb-values.ts";

export interface GeoFileDeps {
  /** Gives files of a folder by their names, as the runtime's disk service does: size and time of the last change in the headers. */
  files: Pick<Fetcher, "fetch">;
  /** Of the database among them. */
  name: string;
  clock: Clock;
  /** Of the current request. */
  timer(ms: number): Timer;
  waitUntil(promise: Promise<unknown>): void;
  /** Once when the file cannot be read any more, and once when it can again. */
  log(record: { level: "warn" | "info"; message: string }): void;
}

interface Loaded {
  /** Differs for another content. */
  stamp: string;
  database: GeoDatabase;
}

/** Such files are replaced a few times a week; a look at their headers costs nothing. */
const REFRESH_MS = 60_000;
/** A file of 64 MB is there in 0.1 s. One on a disk that sleeps is worth no client's time-out. */
const FIRST_WAIT_MS = 1_000;
const CHUNK_BYTES = 64 * 1024;

/**
 * The database of places on one machine, in the memory of the capture isolate: once, since there is one such isolate. The first requests
 * wait for it, no later one does. A file that changes is read again, beside the one that is in use; one that is gone or broken changes
 * nothing.
 */
export class GeoFile {
  readonly #deps: GeoFileDeps;
  readonly #current: Refreshed<Loaded>;
  #loaded: Loaded | null = null;

  constructor(deps: GeoFileDeps) {
    this.#deps = deps;
    const options = { name: `the GeoIP file ${deps.name}`, refreshMs: REFRESH_MS, firstWaitMs: FIRST_WAIT_MS };
    this.#current = new Refreshed({ ...deps, read: () => this.#read() }, options);
  }

  /** Null where the file could not be read yet. Never rejects. */
  async lookup(): Promise<GeoLookup | null> {
    const current = await this.#current.get(this.#deps.waitUntil);
    return current === null ? null : (address) => current.value.database.find(address);
  }

  async #read(): Promise<Loaded> {
    const { headers } = await this.#fetch("HEAD");
    const stamp = `${headers.get("last-modified")} ${headers.get("content-length")}`;
    if (this.#loaded?.stamp !== stamp) {
      this.#loaded = { stamp, database: new GeoDatabase(await contentOf(await this.#fetch("GET"))) };
    }
    return this.#loaded;
  }

  async #fetch(method: string): Promise<Response> {
    const { files, name } = this.#deps;
    const response = await files.fetch(`http://files/${encodeURIComponent(name)}`, { method });
    if (!response.ok) throw new MmdbError("is not there");
    return response;
  }
}

/** Into the place that it takes: what gathers the chunks of a stream by itself holds all of it twice. */
async function contentOf(response: Response): Promise<Uint8Array> {
  const content = new Uint8Array(Number(response.headers.get("content-length")));
  const reader = (response.body as ReadableStream<Uint8Array>).getReader({ mode: "byob" });
  let chunk = new Uint8Array(CHUNK_BYTES);
  for (let at = 0; ; ) {
    const { value, done } = await reader.read(chunk);
    if (done) return content;
    if (at + value.length > content.length) throw new MmdbError("has changed while it was read");
    content.set(value, at);
    at += value.length;
    chunk = new Uint8Array(value.buffer as ArrayBuffer);
  }
}
