import { defineConfig } from "vitest/config";

/** The product from outside: `npx vitest run --config test/e2e/vitest.config.ts`. */
export default defineConfig({
  test: {
    name: "e2e",
    include: ["test/{e2e,sdk}/**/*.e2e.test.ts"],
    // Each test loads the machine and some measure time: one at a time.
    fileParallelism: false,
    testTimeout: 300_000,
    hookTimeout: 300_000,
    // posthog-node and the sinks leave keep-alive sockets behind.
    teardownTimeout: 5_000,
    // What the tests count and measure is worth reading even when they pass.
    disableConsoleIntercept: true,
  },
});
