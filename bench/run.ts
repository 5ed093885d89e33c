/** `npm run bench [-- name…]`: runs the scenarios, all unless named, and prints one table. */
import { cpus } from "node:os";
import { type Row, table } from "./report.ts";
import { captureBatch } from "./scenarios/capture-batch.ts";
import { captureSingle } from "./scenarios/capture-single.ts";
import { decode } from "./scenarios/decode.ts";
import { isolate } from "./scenarios/isolate.ts";
import { isolation } from "./scenarios/isolation.ts";
import { kafka } from "./scenarios/kafka.ts";
import { path } from "./scenarios/path.ts";
import { peers } from "./scenarios/peers.ts";
import { protocols } from "./scenarios/protocols.ts";
import { teams } from "./scenarios/teams.ts";
import { transform } from "./scenarios/transform.ts";
import { webhook } from "./scenarios/webhook.ts";

const SCENARIOS = [
  captureSingle,
  captureBatch,
  protocols,
  decode,
  isolate,
  transform,
  teams,
  peers,
  path,
  webhook,
  kafka,
  isolation,
];
const names = process.argv.slice(2);
const unknown = names.filter((name) => !SCENARIOS.some((scenario) => scenario.name === name));
if (unknown.length > 0) {
  console.error(`bench: no scenario ${unknown.join(", ")}; there are ${SCENARIOS.map(({ name }) => name).join(", ")}`);
  process.exit(1);
}
const rows: Row[] = [];
for (const scenario of SCENARIOS.filter(({ name }) => names.length === 0 || names.includes(name))) {
  console.log(`${scenario.name}: ${scenario.about}`);
  rows.push(...(await scenario.run()));
}
console.log(`\n${cpus().length} × ${cpus()[0]?.model ?? "CPU"}, Node ${process.versions.node}\n\n${table(rows)}`);
process.exit(0);
