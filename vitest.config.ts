import { cloudflareTest } from "@cloudflare/vitest-plugin";
import { defineConfig } from "vitest/config";

const workerd = (name: string) => ({
  plugins: [cloudflareTest({ wrangler: { configPath: "./wrangler.toml", environment: name } })],
  test: { name: `workerd:${name}`, include: [`workers/${name}/**/*.workerd.test.ts`] },
});

export default defineConfig({
  test: {
    projects: [
      {
        test: {
          name: "node",
          include: ["{shared,workers,runtime,scripts,bench}/**/*.test.ts"],
          exclude: ["**/*.workerd.test.ts", "node_modules/**"],
        },
      },
      workerd("transform"),
      workerd("deliver"),
    ],
  },
});
