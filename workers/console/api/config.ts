import type { ConsoleDeps } from "../deps.ts";
import { isRemoved, publish } from "../publish.ts";
import { type Call, json, jsonBody } from "./request.ts";

/** The document in force: what PUT takes, with masks in the place of secrets. */
export async function getConfig(_call: Call, { store }: ConsoleDeps): Promise<Response> {
  const teams = (await store.teams()).filter((team) => !isRemoved(team));
  return json({ teams: teams.map((team) => team.config) });
}

/** Replaces the whole document and answers what changed. `?force=true` removes destinations that still have events. */
export async function putConfig({ request, url }: Call, deps: ConsoleDeps): Promise<Response> {
  return json(await publish(deps, await jsonBody(request), { force: url.searchParams.get("force") === "true" }));
}
