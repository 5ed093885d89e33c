import { systemClock } from "../../shared/clock.ts";
import { Host } from "./host.ts";
import { Isolates } from "./isolates.ts";

export interface TransformEnv {
  LOADER: WorkerLoader;
}

// One for all requests: the loader's cache of isolates is one too.
let host: Host | undefined;

export default {
  fetch(request, env, ctx) {
    host ??= new Host({
      isolates: new Isolates(env.LOADER),
      clock: systemClock,
      wait: (ms, options) => scheduler.wait(ms, options),
    });
    return host.fetch(request, ctx);
  },
} satisfies ExportedHandler<TransformEnv>;
