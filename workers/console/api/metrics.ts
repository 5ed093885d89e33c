import { waitingInLanes } from "../../../shared/books.ts";
import type { LaneStatus, ScriptStatus } from "../../../shared/lane-api.ts";
import type { OutboxStatus } from "../../../shared/outbox-api.ts";
import { outboxName } from "../../../shared/stubs.ts";
import type { ConsoleDeps } from "../deps.ts";
import { type MetricFamily, type MetricSample, renderMetrics } from "../prometheus.ts";
import type { Call } from "./request.ts";

const MS_PER_S = 1_000;
const BREAKER_STATES: readonly OutboxStatus["breaker"][] = ["closed", "half-open", "open"];

/** What one scrape saw. */
interface Observed {
  now: number;
  lanes: readonly { lane: string; team: string; status: LaneStatus | null }[];
  outboxes: readonly { team: string; destination: string; status: OutboxStatus | null }[];
}

/** Prometheus text of every team. An object that does not answer is `headwater_object_up 0`, and its own series are absent. */
export async function getMetrics(_call: Call, { store, objects, clock }: ConsoleDeps): Promise<Response> {
  const [laneRows, outboxRows] = await Promise.all([store.lanes(), store.outboxes()]);
  const lanes = await Promise.all(
    laneRows.map(async ({ lane, team }) => ({ lane, team, status: await orNull(() => objects.lane(lane).status()) })),
  );
  // After the lanes, so that an event on its way from one to the other is not missed.
  const outboxes = await Promise.all(
    outboxRows.map(async ({ team, destination }) => ({
      team,
      destination,
      status: await orNull(() => objects.outbox(team, destination).status()),
    })),
  );
  return new Response(renderMetrics(metricFamilies({ now: clock.now(), lanes, outboxes })), {
    headers: { "Content-Type": "text/plain; version=0.0.4; charset=utf-8", "Cache-Control": "no-store" },
  });
}

async function orNull<T>(ask: () => Promise<T>): Promise<T | null> {
  try {
    return await ask();
  } catch {
    return null;
  }
}

function metricFamilies(observed: Observed): MetricFamily[] {
  return [...destinationFamilies(observed), ...laneFamilies(observed), ...scriptFamilies(observed), upFamily(observed)];
}

function destinationFamilies({ now, lanes, outboxes }: Observed): MetricFamily[] {
  const each = (read: (status: OutboxStatus) => number | null): MetricSample[] =>
    outboxes.flatMap(({ team, destination, status }) => {
      const value = status === null ? null : read(status);
      return value === null ? [] : [{ labels: { team, destination }, value }];
    });
  const outcomes = (["delivered", "filtered", "dropped", "expired"] as const).flatMap((outcome) =>
    each((status) => status.book[outcome]).map(({ labels, value }) => ({ labels: { ...labels, outcome }, value })),
  );
  return [
    counter("headwater_events_total", "Events that a destination is done with, by outcome.", outcomes),
    gauge(
      "headwater_pending_events",
      "Events that wait for a destination, in its outbox and in the team's lanes.",
      pendingSamples({ lanes, outboxes }),
    ),
    gauge(
      "headwater_pending_bytes",
      "Bytes that wait in a destination's outbox.",
      each((s) => s.pendingBytes),
    ),
    gauge(
      "headwater_oldest_pending_age_seconds",
      "Age of the oldest event in a destination's outbox; 0 without any.",
      each((s) => ageS(now, s.oldestAt)),
    ),
    gauge(
      "headwater_backlog_ratio",
      "Share of a destination's backlog cap (backlog.max_bytes) that is taken; at 1 its events wait in the lanes.",
      each((s) => s.pendingBytes / s.maxPendingBytes),
    ),
    gauge(
      "headwater_dead_letters",
      "Dead letters kept for a destination.",
      each((s) => s.book.dead),
    ),
    gauge(
      "headwater_breaker_state",
      "Circuit breaker of a destination: 0 closed, 1 half-open, 2 open.",
      each((s) => BREAKER_STATES.indexOf(s.breaker)),
    ),
    gauge(
      "headwater_destination_disabled",
      "1 where nothing is sent until the destination's configuration changes.",
      each((s) => (s.disabled === null ? 0 : 1)),
    ),
    gauge(
      "headwater_destination_paused",
      "1 where nothing is sent until somebody resumes the destination.",
      each((s) => (s.paused === null ? 0 : 1)),
    ),
    counter(
      "headwater_delivery_attempts_total",
      "Requests that were sent to a destination.",
      each((s) => s.attempts),
    ),
    counter(
      "headwater_emitted_events_total",
      "Events that scripts added beyond one each.",
      each((s) => s.emitted),
    ),
  ];
}

/** A destination whose outbox has never been used has events in the lanes only. */
function pendingSamples({ lanes, outboxes }: Omit<Observed, "now">): MetricSample[] {
  const samples: MetricSample[] = [];
  const add = (team: string, destination: string, outbox: OutboxStatus | null) => {
    const own = lanes.flatMap((lane) => (lane.team === team && lane.status !== null ? [lane.status] : []));
    const value = (outbox?.book.pending ?? 0) + waitingInLanes(destination, own, outbox);
    samples.push({ labels: { team, destination }, value });
  };
  for (const { team, destination, status } of outboxes) if (status !== null) add(team, destination, status);
  const known = new Set(outboxes.map(({ team, destination }) => outboxName(team, destination)));
  for (const { team, status } of lanes) {
    for (const destination of Object.keys(status?.pending ?? {})) {
      const name = outboxName(team, destination);
      if (!known.has(name)) add(team, destination, null);
      known.add(name);
    }
  }
  return samples;
}

function refusedSamples({ lanes }: Observed): MetricSample[] {
  return lanes.flatMap(({ lane, team, status }) =>
    Object.entries(status?.refused ?? {}).flatMap(([source, reasons]) =>
      Object.entries(reasons).map(([reason, value]) => ({ labels: { team, lane, source, reason }, value })),
    ),
  );
}

function laneFamilies(observed: Observed): MetricFamily[] {
  const { now, lanes } = observed;
  const each = (read: (status: LaneStatus) => number): MetricSample[] =>
    lanes.flatMap(({ lane, team, status }) =>
      status === null ? [] : [{ labels: { team, lane }, value: read(status) }],
    );
  return [
    counter(
      "headwater_accepted_events_total",
      "Events accepted, duplicates left out.",
      each((s) => s.accepted),
    ),
    counter(
      "headwater_duplicates_total",
      "Events dropped because their uuid was seen before.",
      each((s) => s.duplicates),
    ),
    counter(
      "headwater_refused_events_total",
      "Events answered as taken and not stored, as a source, a restriction or a quota says.",
      refusedSamples(observed),
    ),
    gauge(
      "headwater_lane_backlog_events",
      "Events that the scripts have not seen yet.",
      each((s) => s.backlog),
    ),
    gauge(
      "headwater_lane_backlog_bytes",
      "Bytes that the scripts have not seen yet.",
      each((s) => s.backlogBytes),
    ),
    gauge(
      "headwater_lane_oldest_backlog_age_seconds",
      "Age of the oldest event that the scripts have not seen yet; 0 without any.",
      each((s) => ageS(now, s.oldestAt)),
    ),
    gauge(
      "headwater_quarantined_events",
      "Events in the lane's quarantine: at every destination they count as dead.",
      each((s) => s.quarantined),
    ),
    counter(
      "headwater_discarded_events_total",
      "Events that were discarded from the lane's quarantine: at every destination they count as dropped.",
      each((s) => s.discarded),
    ),
    gauge(
      "headwater_lane_held_up",
      "1 where something holds the lane's pump up.",
      each((s) => (s.trouble === null ? 0 : 1)),
    ),
  ];
}

function scriptFamilies({ lanes }: Observed): MetricFamily[] {
  const each = (read: (script: ScriptStatus) => number): MetricSample[] =>
    lanes.flatMap(({ lane, team, status }) =>
      (status?.scripts ?? []).map((script) => ({
        labels: { team, lane, transformation: script.id, bundle: script.bundle },
        value: read(script),
      })),
    );
  return [
    counter(
      "headwater_script_events_total",
      "Events that a script was given.",
      each((s) => s.events),
    ),
    counter(
      "headwater_script_dropped_total",
      "Events that a script dropped.",
      each((s) => s.dropped),
    ),
    counter(
      "headwater_script_steps_total",
      "Steps of fuel that a script used.",
      each((s) => s.steps),
    ),
    counter(
      "headwater_script_errors_total",
      "Events that a script threw on or ran out of fuel on.",
      each((s) => s.errors),
    ),
    counter(
      "headwater_script_kills_total",
      "Times that the sandbox had to be killed while a script ran.",
      each((s) => s.kills),
    ),
    gauge(
      "headwater_script_quarantined",
      "1 where a script was taken out of the chain.",
      each((s) => (s.quarantined ? 1 : 0)),
    ),
  ];
}

function upFamily({ lanes, outboxes }: Observed): MetricFamily {
  return gauge("headwater_object_up", "1 where the lane or outbox answered this scrape.", [
    ...lanes.map(({ team, lane, status }) => ({
      labels: { team, kind: "lane", name: lane },
      value: status === null ? 0 : 1,
    })),
    ...outboxes.map(({ team, destination, status }) => ({
      labels: { team, kind: "outbox", name: destination },
      value: status === null ? 0 : 1,
    })),
  ]);
}

function ageS(now: number, oldestAt: string | null): number {
  return oldestAt === null ? 0 : Math.max(0, (now - Date.parse(oldestAt)) / MS_PER_S);
}

function counter(name: string, help: string, samples: MetricSample[]): MetricFamily {
  return { name, type: "counter", help, samples };
}

function gauge(name: string, help: string, samples: MetricSample[]): MetricFamily {
  return { name, type: "gauge", help, samples };
}
