import type { ConsoleDeps } from "../deps.ts";
import { isRemoved } from "../publish.ts";
import { type Call, json } from "./request.ts";

/** All teams; removed ones are marked, and go on draining. */
export async function listTeams(_call: Call, { store }: ConsoleDeps): Promise<Response> {
  const teams = (await store.teams()).map((team) => ({
    id: team.team,
    name: team.config.name ?? null,
    version: team.version,
    updated_at: team.createdAt,
    removed: isRemoved(team),
    tokens: team.config.tokens,
    lanes: team.config.lanes,
    transformations: team.config.transformations.map(({ id }) => id),
    destinations: team.config.destinations.map(({ id, kind }) => ({ id, kind })),
  }));
  return json({ teams });
}
