/**
 * Measures inside one workerd: the same script in a bare loop, and through an isolate of the sandbox. The clock of a worker stands
 * still while it computes, so the time is taken by whoever asks.
 *
 * `PUT /` (JSON: Setup) first; `POST /bare?rounds=N` and `POST /isolate?rounds=N` then run the batch N times.
 */

import { transform } from "bench:script";
import type { Bundle } from "../shared/snapshot.ts";
import { Isolates } from "../workers/transform/isolates.ts";

interface Env {
  LOADER: WorkerLoader;
}

interface Setup {
  bundle: Bundle;
  /** NDJSON. */
  events: string;
}

const NO_SKIPS = { scripts: [], events: [] };
let setup: Setup = { bundle: { hash: "", team: "", scripts: [], filters: {}, modules: {} }, events: "" };
let isolates: Isolates | null = null;

/** What reads bytes, runs the script and writes bytes, with nothing in between. */
function bare(bytes: Uint8Array): Uint8Array {
  const lines = new TextDecoder().decode(bytes).split("\n");
  return new TextEncoder().encode(lines.map((line) => JSON.stringify(transform(JSON.parse(line)))).join("\n"));
}

export default {
  async fetch(request, env) {
    const { pathname, searchParams } = new URL(request.url);
    if (request.method === "PUT") {
      setup = await request.json<Setup>();
      return new Response(null, { status: 204 });
    }
    if (pathname === "/health") return new Response("ok");
    const rounds = Number(searchParams.get("rounds"));
    const bytes = new TextEncoder().encode(setup.events);
    isolates ??= new Isolates(env.LOADER);
    let length = 0;
    if (pathname === "/bare") for (let i = 0; i < rounds; i++) length = bare(bytes).length;
    else {
      const isolate = await isolates.get({ bundle: setup.bundle, credentials: {} });
      for (let i = 0; i < rounds; i++) length = (await isolate.run(bytes, NO_SKIPS, null)).length;
    }
    return new Response(String(length));
  },
} satisfies ExportedHandler<Env>;
