import { compileFilter } from "../../shared/filter.ts";
import { lineStarts } from "../../shared/ndjson.ts";
import type { SnapshotReader } from "../../shared/snapshot.ts";
import { gunzip, readAll } from "./destinations/archive-lines.ts";
import type { S3Settings } from "./destinations/s3.ts";
import { S3Client, type S3Deps, s3Error } from "./destinations/s3-client.ts";
import { type KeyNames, listFrom, spanOf } from "./destinations/s3-key.ts";
import type { LoadedDestination } from "./outbox-config.ts";

/** An object of an archive, unpacked. */
export interface ArchiveObject {
  key: string;
  /** NDJSON as archive-lines.ts writes it, a newline behind each line. */
  text: Uint8Array;
  starts: readonly number[];
}

/** Nobody's archive has larger ones; what is not ours could. */
const MAX_OBJECT_BYTES = 64_000_000;

/** Reads what a destination of kind `s3` has written, in the order of its keys, which is the order of time. */
export class Archive {
  readonly #client: S3Client;
  readonly #prefix: string;
  readonly #names: KeyNames;

  constructor(settings: S3Settings, names: KeyNames, deps: S3Deps) {
    this.#client = new S3Client(settings, deps);
    this.#prefix = settings.prefix;
    this.#names = names;
  }

  /** Keys behind `after`, or the first ones, of objects that may hold events of [since, until); `last`: there are no more. */
  async keys(after: string | null, since: number, until: number): Promise<{ keys: string[]; last: boolean }> {
    const { prefix, startAfter } = listFrom(this.#prefix, this.#names, since);
    let from = after ?? startAfter;
    for (;;) {
      const page = await this.#client.list(prefix, from);
      const spans = page.keys.map((key) => ({ key, span: spanOf(key) }));
      const keys = spans.flatMap(({ key, span }) =>
        span === null || span.to < since || span.from >= until ? [] : [key],
      );
      const isPast = spans.some(({ span }) => span !== null && span.from >= until);
      const last = isPast || !page.more || page.keys.length === 0;
      if (keys.length > 0 || last) return { keys, last };
      from = page.keys.at(-1) as string;
    }
  }

  /** Throws where it cannot be read. */
  async object(key: string): Promise<ArchiveObject> {
    const response = await this.#client.get(key);
    if (!response.ok || response.body === null) {
      throw new Error(`object ${key} cannot be read: ${s3Error(response.status, await response.text())}`);
    }
    const body = response.body as ReadableStream<Uint8Array>;
    const text = key.endsWith(".gz") ? await gunzip(body, MAX_OBJECT_BYTES) : await readAll(body, MAX_OBJECT_BYTES);
    return { key, text, starts: lineStarts(text) };
  }
}

/** The archive that a destination of the team writes. Throws where it cannot be opened now. */
export async function openArchive(
  load: (team: string, destination: string) => Promise<LoadedDestination>,
  team: string,
  destination: string,
  deps: S3Deps,
): Promise<Archive> {
  const loaded = await load(team, destination);
  if (loaded.state !== "ready") throw new Error(`the archive cannot be read: ${loaded.reason}`);
  if (loaded.kind.kind !== "s3") throw new Error(`destination "${destination}" is no archive`);
  return new Archive(loaded.settings as S3Settings, { team, destination }, deps);
}

/** Whether a destination takes an event, by its filter as it is now. */
export async function filterOf(
  snapshots: Pick<SnapshotReader, "team">,
  team: string,
  destination: string,
): Promise<(event: object) => boolean> {
  const filters = (await snapshots.team(team))?.bundle?.filters ?? {};
  const filter = Object.hasOwn(filters, destination) ? filters[destination] : undefined;
  if (filter === undefined) return () => true;
  const test = compileFilter(filter);
  return (event) => test(event as Parameters<typeof test>[0]);
}
