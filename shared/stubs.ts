import type { LaneApi } from "./lane-api.ts";
import type { OutboxApi } from "./outbox-api.ts";

/** The only place where objects get their names. */
export function outboxName(team: string, destination: string): string {
  return `${team}:${destination}`;
}

export function laneStub(namespace: DurableObjectNamespace, lane: string): LaneApi {
  return namespace.get(namespace.idFromName(lane)) as unknown as LaneApi;
}

export function outboxStub(namespace: DurableObjectNamespace, team: string, destination: string): OutboxApi {
  return namespace.get(namespace.idFromName(outboxName(team, destination))) as unknown as OutboxApi;
}
