import { messageOf } from "../../shared/errors.ts";
import type { BundleUpload } from "../../shared/sandbox-api.ts";
import { BundleBrokenError } from "./bundle-error.ts";
import { COMPATIBILITY_DATE, FUEL, HARNESS, ISOLATE_VERSION, LIBRARY_TEXTS } from "./generated/isolate.ts";
import type { IsolateApi, ScriptsConfig } from "./isolate-api.ts";
import { libraryModule } from "./library-names.ts";
import { Lru } from "./lru.ts";

/** 2 to 5 MB each once they have run; a single process keeps the isolates of this many teams. */
export const DEFAULT_ISOLATE_COUNT = 64;

/** Enforced on Cloudflare only, as the last line behind fuel: far above a batch of honest scripts. */
const CPU_LIMIT_MS = 10_000;

/**
 * The isolates that are loaded, one a bundle. The loader itself keeps an isolate for ever and remembers a failed load for
 * ever: an isolate is let go by ending it from inside, and an id whose load has failed is not used again.
 */
export class Isolates {
  readonly #loader: WorkerLoader;
  /** Ids by hash. Stubs belong to the request that made them, so each request makes its own. */
  readonly #ids: Lru<string>;
  readonly #failures = new Map<string, number>();

  constructor(loader: WorkerLoader, capacity = DEFAULT_ISOLATE_COUNT) {
    this.#loader = loader;
    this.#ids = new Lru(capacity);
  }

  get size(): number {
    return this.#ids.size;
  }

  /** The bundle's isolate, started. Must not be called while another batch runs. Throws BundleBrokenError. */
  async get(upload: BundleUpload): Promise<IsolateApi> {
    const { hash } = upload.bundle;
    const failures = this.#failures.get(hash) ?? 0;
    const id = `${hash}.${ISOLATE_VERSION}.${failures}`;
    const isolate = this.#stub(id, () => programOf(upload));
    if (this.#ids.get(hash) !== undefined) return isolate;
    try {
      await isolate.check();
    } catch (error) {
      this.#failures.set(hash, failures + 1);
      throw new BundleBrokenError(hash, messageOf(error));
    }
    const gone = this.#ids.set(hash, id);
    if (gone !== undefined) await this.#drop(gone);
    return isolate;
  }

  /** Ends the bundle's isolate; the next batch loads it anew. */
  async discard(hash: string): Promise<void> {
    const id = this.#ids.get(hash);
    if (id === undefined) return;
    this.#ids.delete(hash);
    await this.#drop(id);
  }

  async #drop(id: string): Promise<void> {
    const isolate = this.#stub(id, () => {
      throw new Error(`isolate ${id} is not loaded`);
    });
    // It never answers: its end is the answer.
    await isolate.drop().catch(() => undefined);
  }

  #stub(id: string, program: () => WorkerLoaderWorkerCode): IsolateApi {
    return this.#loader.get(id, program).getEntrypoint() as unknown as IsolateApi;
  }
}

function programOf({ bundle, credentials }: BundleUpload): WorkerLoaderWorkerCode {
  const { team, scripts, shapers = {}, filters, modules, libraries = [] } = bundle;
  const config: ScriptsConfig = {
    team,
    scripts: scripts.map(withoutSealed),
    shapers: Object.fromEntries(Object.entries(shapers).map(([id, script]) => [id, withoutSealed(script)])),
    filters,
    credentials,
  };
  return {
    compatibilityDate: COMPATIBILITY_DATE,
    compatibilityFlags: ["no_nodejs_compat", "no_nodejs_compat_v2"],
    mainModule: "harness.js",
    modules: {
      ...modules,
      ...Object.fromEntries(libraries.map((name) => [libraryModule(name), libraryText(name)])),
      "harness.js": HARNESS,
      "fuel.js": FUEL,
      "bundle.json": { json: config },
    },
    env: {},
    globalOutbound: null,
    limits: { cpuMs: CPU_LIMIT_MS, subRequests: 0 },
  };
}

function libraryText(name: string): string {
  const text = LIBRARY_TEXTS[name];
  if (text === undefined) throw new Error(`this version has no library "${name}": publish the scripts again`);
  return text;
}

/** What is sealed is of no use in there. */
function withoutSealed<S extends { credentials?: unknown }>({ credentials: _, ...script }: S): Omit<S, "credentials"> {
  return script;
}
