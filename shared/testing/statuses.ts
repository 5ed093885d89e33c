import type { LaneStatus } from "../lane-api.ts";
import type { OutboxStatus } from "../outbox-api.ts";
import type { ReplayStatus } from "../replay-api.ts";

export function aLaneStatus(overrides: Partial<LaneStatus> = {}): LaneStatus {
  return {
    lane: "acme:0",
    team: "acme",
    nextSeq: 1,
    accepted: 0,
    duplicates: 0,
    refused: {},
    backlog: 0,
    backlogBytes: 0,
    oldestAt: null,
    pending: {},
    quarantined: 0,
    discarded: 0,
    scripts: [],
    trouble: null,
    ...overrides,
  };
}

export function anOutboxStatus(overrides: Partial<OutboxStatus> = {}): OutboxStatus {
  return {
    team: "acme",
    destination: "hook",
    book: { accepted: 0, delivered: 0, filtered: 0, dropped: 0, dead: 0, expired: 0, pending: 0 },
    emitted: 0,
    replayed: 0,
    discarded: 0,
    moved: 0,
    lanes: {},
    pendingBytes: 0,
    maxPendingBytes: 2_147_483_648,
    oldestAt: null,
    breaker: "closed",
    disabled: null,
    paused: null,
    failingSince: null,
    attempts: 0,
    lastError: null,
    rateLimitedUntil: null,
    ...overrides,
  };
}

export function aReplayStatus(overrides: Partial<ReplayStatus> = {}): ReplayStatus {
  return {
    ...{ id: "r1", from: "dead_letters", source: "hook", destination: "hook", state: "done" },
    ...{ created_at: "2026-01-01T00:00:00.000Z", ended_at: "2026-01-01T00:00:01.000Z" },
    ...{ total: 3, seen: 3, replayed: 3, problem: null },
    ...overrides,
  };
}
