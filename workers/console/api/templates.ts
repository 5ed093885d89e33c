import type { ConsoleDeps } from "../deps.ts";
import { TEMPLATES } from "../generated/templates.ts";
import { type Call, json } from "./request.ts";

/** Transformations to start from. */
export async function listTemplates(_call: Call, _deps: ConsoleDeps): Promise<Response> {
  return json({ templates: TEMPLATES });
}
