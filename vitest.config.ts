import { cloudflareTest } from "@cloudflare/vitest-plugin";
import { defineConfig } from "vitest/config";

const workerd = (name: string) => ({
  plugins: [cloudflareTest({ wrangler: { configPath: "./wrangler.toml", environment: name } })],
  test: {
    name: `workerd:${name}`,
    globalSetup: ["./scripts/build-isolate.mjs"],
    include: [`workers/${name}/**/*.workerd.test.ts`],
  },
});

export default defineConfig({
  test: {
    projects: [
      {
        test: {
          name: "node",
          include: ["{shared,workers,runtime,scripts,bench,docs}/**/*.test.ts"],
          exclude: ["**/*.workerd.test.ts", "node_modules/**"],
        },
      },
      workerd("transform"),
      workerd("deliver"),
    ],
  },
});
