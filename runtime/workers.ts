/** The four workers: environments of wrangler.toml. */
export const WORKERS = ["capture", "transform", "deliver", "console"] as const;
export type WorkerName = (typeof WORKERS)[number];

/** What the local runtime takes from an environment of wrangler.toml, once it is built. */
export interface BuiltWorker {
  name: string;
  /** Path of the bundle's main module, relative to the project. */
  main: string;
  compatibilityDate: string;
  compatibilityFlags: string[];
  durableObjects: { binding: string; className: string; worker: string }[];
  services: { binding: string; worker: string; entrypoint: string | null }[];
  kv: { binding: string; id: string }[];
  d1: { binding: string; id: string }[];
  vars: Record<string, string>;
  /** Classes that this worker itself exports. */
  objects: string[];
}

export type BuiltWorkers = Record<WorkerName, BuiltWorker>;
