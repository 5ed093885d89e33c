// Writes schema/headwater.schema.json from the schemas that check a configuration.
import { writeFileSync } from "node:fs";
import { join } from "node:path";
import { configJsonSchema } from "../shared/config-json-schema.ts";
import { destinationKinds } from "../workers/deliver/destinations/registry.ts";

const path = join(import.meta.dirname, "..", "schema", "headwater.schema.json");
writeFileSync(path, `${JSON.stringify(configJsonSchema(destinationKinds), null, 2)}\n`);
console.log(`wrote ${path}`);
