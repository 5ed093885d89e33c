import { execFileSync } from "node:child_process";
import { cloudflareTest } from "@cloudflare/vitest-plugin";
import { build } from "esbuild";
import { defineConfig } from "vitest/config";

/** A test that hangs is found all the same; a busy machine makes one of seconds take many. */
const TEST_TIMEOUT_MS = 30_000;
const KV_ID = "00000000000000000000000000000000";
const D1_ID = "00000000-0000-0000-0000-000000000000";

/** Workers beside the one under test. */
type Options = Exclude<Parameters<typeof cloudflareTest>[0], (...given: never) => unknown>;
type Beside = NonNullable<NonNullable<Options["miniflare"]>["workers"]>;

const workerd = (name: string, beside: () => Promise<Beside> = async () => []) => ({
  plugins: [
    cloudflareTest(async () => ({
      wrangler: { configPath: "./wrangler.toml", environment: name },
      miniflare: { workers: await beside() },
    })),
  ],
  test: {
    name: `workerd:${name}`,
    testTimeout: TEST_TIMEOUT_MS,
    globalSetup: ["./scripts/build-isolate.mjs", "./scripts/build-templates.mjs"],
    include: [`workers/${name}/**/*.workerd.test.ts`],
  },
});

/** The real outboxes; and no sandbox, since a lane is tested without scripts. */
async function besideCapture(): Promise<Beside> {
  const { outputFiles } = await build({
    entryPoints: ["workers/deliver/index.ts"],
    // kafkajs asks for Node's modules by their bare names.
    ...{ bundle: true, format: "esm", target: "esnext", write: false, external: ["cloudflare:*"], platform: "node" },
  });
  const common = { modules: true, compatibilityDate: "2026-10-30" } as const;
  return [
    {
      ...common,
      name: "headwater-deliver",
      compatibilityFlags: ["nodejs_compat"],
      script: outputFiles[0]?.text ?? "",
      bindings: { SECRET_KEY: Buffer.alloc(32).toString("base64") },
      durableObjects: { OUTBOXES: { className: "OutboxObject", useSQLite: true } },
      kvNamespaces: { SNAPSHOTS: KV_ID },
      d1Databases: { DB: D1_ID },
    },
    {
      ...common,
      name: "headwater-transform",
      script: 'export default { fetch: () => new Response("no sandbox in this test", { status: 503 }) };',
    },
  ];
}

/** The real sandbox, for the scripts of destinations. */
async function besideDeliver(): Promise<Beside> {
  // Before any set-up of vitest's.
  execFileSync(process.execPath, ["scripts/build-isolate.mjs"]);
  const { outputFiles } = await build({
    entryPoints: ["workers/transform/index.ts"],
    ...{ bundle: true, format: "esm", target: "esnext", write: false, external: ["cloudflare:*", "node:*"] },
  });
  return [
    {
      ...{ modules: true, compatibilityDate: "2026-10-30", name: "headwater-transform" },
      script: outputFiles[0]?.text ?? "",
      workerLoaders: { LOADER: {} },
    },
  ];
}

export default defineConfig({
  test: {
    projects: [
      {
        test: {
          name: "node",
          testTimeout: TEST_TIMEOUT_MS,
          globalSetup: ["./scripts/build-isolate.mjs", "./scripts/build-templates.mjs"],
          include: ["{shared,workers,runtime,scripts,bench,docs,templates}/**/*.test.ts"],
          exclude: ["**/*.workerd.test.ts", "node_modules/**"],
        },
      },
      workerd("capture", besideCapture),
      workerd("transform"),
      workerd("deliver", besideDeliver),
    ],
  },
});
