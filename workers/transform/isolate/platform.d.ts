/** Written by the host into every isolate; the build names it `./bundle.json`. */
declare module "headwater:bundle" {
  const bundle: import("../isolate-api.ts").ScriptsConfig;
  export default bundle;
}

/** The published types lack it. */
declare namespace CloudflareWorkersModule {
  export function abortIsolate(reason?: string): never;
}
