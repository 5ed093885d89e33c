#!/usr/bin/env node
process.argv.splice(2, 0, "runtime/cli/headwater.ts");
await import("../scripts/with-node.mjs");
