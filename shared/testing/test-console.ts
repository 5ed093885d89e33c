import { ConfigStore } from "../../workers/console/config-store.ts";
import type { ConsoleDeps } from "../../workers/console/deps.ts";
import { createRouter } from "../../workers/console/router.ts";
import { destinationKinds } from "../../workers/deliver/destinations/registry.ts";
import { Vault } from "../../workers/deliver/vault.ts";
import { compileBundle } from "../../workers/transform/compile.ts";
import type { Event } from "../event.ts";
import type { LaneStatus, QuarantinedEvent, QuarantineQuery } from "../lane-api.ts";
import type { Book, DeadLetterPage, DeadLetterQuery, DeadLetterSelection, OutboxStatus } from "../outbox-api.ts";
import type { ReplayRequest, ReplayStatus } from "../replay-api.ts";
import { FakeClock } from "./fake-clock.ts";
import { type MemoryKv, memoryKv } from "./memory-kv.ts";
import { type NodeD1, nodeD1 } from "./node-d1.ts";
import { aLaneStatus, anOutboxStatus, aReplayStatus } from "./statuses.ts";

const ADMIN_TOKEN = "admin-token";

/** The console with real SQL, real compiling and real sealing, and doubles for KV and the objects; `calls` records what reached the objects. */
export interface TestConsole {
  db: NodeD1;
  kv: MemoryKv;
  clock: FakeClock;
  calls: string[];
  /** Registers a lane and what it answers; an Error is what it throws. */
  lane(team: string, status: Partial<LaneStatus> & { lane: string }, failure?: Error): Promise<void>;
  /** Registers an outbox and what it answers; an Error is what it throws. */
  outbox(team: string, destination: string, status: Partial<OutboxStatus>, failure?: Error): Promise<void>;
  /** Of each lane, newest first. */
  samples: Map<string, Event[]>;
  /** Of each lane, by id. */
  quarantines: Map<string, QuarantinedEvent[]>;
  /** Of each lane, and of each outbox by "team/destination". */
  replays: Map<string, ReplayStatus[]>;
  /** Asks with the admin token; an object is sent as JSON. */
  ask(method: string, path: string, body?: unknown, headers?: Record<string, string>): Promise<Answer>;
  deps: ConsoleDeps;
}

interface Answer {
  status: number;
  headers: Headers;
  text: string;
  // biome-ignore lint/suspicious/noExplicitAny: tests look into bodies of every shape
  body: any;
}

export function testConsole(overrides: Partial<ConsoleDeps> = {}): TestConsole {
  const [db, kv, clock] = [nodeD1(), memoryKv(), new FakeClock()];
  const vault = Vault.fromBase64(btoa("k".repeat(32)));
  const calls: string[] = [];
  const lanes = new Map<string, LaneStatus | Error>();
  const outboxes = new Map<string, OutboxStatus | Error>();
  const samples = new Map<string, Event[]>();
  const quarantines = new Map<string, QuarantinedEvent[]>();
  const record = <T>(call: string, answer: T | Error): T => {
    calls.push(call);
    if (answer instanceof Error) throw answer;
    return answer;
  };
  const replays = new Map<string, ReplayStatus[]>();
  const replayed = ({ id, from, destination }: ReplayRequest & Pick<ReplayStatus, "from">, source: string) =>
    aReplayStatus({ id, from, source, destination, replayed: 3 });
  const cancelled = (name: string, id: string) => {
    const found = replays.get(name)?.find((replay) => replay.id === id && replay.state === "running");
    if (found !== undefined) found.state = "cancelled";
    return found !== undefined;
  };
  let ids = 0;
  const deps: ConsoleDeps = {
    adminToken: ADMIN_TOKEN,
    store: new ConfigStore(db),
    snapshots: kv,
    deliver: {
      seal: (plaintext, previous) => vault.reseal(plaintext, previous),
      open: (sealed) => vault.open(sealed),
    },
    sandbox: { fetch: () => Promise.reject(new Error("no sandbox in this test")) },
    kinds: destinationKinds,
    compile: compileBundle,
    clock,
    newId: () => `id${++ids}`,
    objects: {
      lane: (lane) => ({
        append: async () => record<never>(`append ${lane}`, new Error("the console never appends")),
        status: async () => record(`status ${lane}`, lanes.get(lane) ?? new Error(`no lane ${lane}`)),
        wake: async () => {
          record(`wake ${lane}`, lanes.get(lane) ?? null);
        },
        usage: async () => record<never>(`usage ${lane}`, new Error("the console never asks for it")),
        samples: async (limit) => record(`samples ${lane} ${limit}`, (samples.get(lane) ?? []).slice(0, limit)),
        quarantine: async ({ limit = 100, after = 0, ...selection }: QuarantineQuery) => {
          const page = (quarantines.get(lane) ?? []).filter(({ id }) => id > after);
          return record(`quarantine ${lane} ${JSON.stringify(selection)}`, {
            quarantined: page.slice(0, limit),
            total: quarantines.get(lane)?.length ?? 0,
            next: page.length > limit ? (page[limit - 1]?.id ?? null) : null,
          });
        },
        release: async (selection) => record(`release ${lane} ${JSON.stringify(selection)}`, { released: 2 }),
        discard: async (selection) => record(`discard ${lane} ${JSON.stringify(selection)}`, { discarded: 1 }),
        replay: async (request) => record(`replay ${lane} ${JSON.stringify(request)}`, replayed(request, lane)),
        replays: async () => record(`replays ${lane}`, replays.get(lane) ?? []),
        cancelReplay: async (id) => record(`cancel ${lane} ${id}`, cancelled(lane, id)),
      }),
      outbox: (team, destination) => {
        const name = `${team}/${destination}`;
        const status = outboxes.get(name) ?? anOutboxStatus({ team, destination });
        return {
          append: async () => record<never>(`append ${name}`, new Error("the console never appends")),
          status: async () => record(`status ${name}`, status),
          wake: async () => {
            record(`wake ${name}`, status);
          },
          pause: async ({ reason }) => {
            record(`pause ${name} ${reason}`, status);
          },
          resume: async () => {
            record(`resume ${name}`, status);
          },
          deadLetters: async (query: DeadLetterQuery) => {
            record(`deadLetters ${name} ${JSON.stringify(query)}`, status);
            return { dead_letters: [], total: 0, next: null } satisfies DeadLetterPage;
          },
          replay: async (request) => {
            record(`replay ${name} ${JSON.stringify(request)}`, status);
            return replayed(request, destination);
          },
          replays: async () => record(`replays ${name}`, replays.get(name) ?? []),
          cancelReplay: async (id) => record(`cancel ${name} ${id}`, cancelled(name, id)),
          discard: async (selection: DeadLetterSelection) => {
            record(`discard ${name} ${JSON.stringify(selection)}`, status);
            return { discarded: 4 };
          },
        };
      },
    },
    ...overrides,
  };
  const router = createRouter(deps);
  return {
    db,
    kv,
    clock,
    calls,
    deps,
    samples,
    quarantines,
    replays,
    lane: async (team, status, failure) => {
      await db.prepare("INSERT INTO lanes VALUES (?, ?)").bind(status.lane, team).run();
      lanes.set(status.lane, failure ?? aLaneStatus({ team, ...status }));
    },
    outbox: async (team, destination, status, failure) => {
      await db.prepare("INSERT INTO outboxes VALUES (?, ?)").bind(team, destination).run();
      outboxes.set(`${team}/${destination}`, failure ?? anOutboxStatus({ team, destination, ...status }));
    },
    ask: async (method, path, body, headers = { Authorization: `Bearer ${ADMIN_TOKEN}` }) => {
      const init = body === undefined ? {} : { body: typeof body === "string" ? body : JSON.stringify(body) };
      const response = await router.fetch(new Request(`http://console${path}`, { method, headers, ...init }));
      const text = await response.text();
      const isJson = (response.headers.get("Content-Type")?.match(/\bjson/) !== null) === true;
      return { status: response.status, headers: response.headers, text, body: isJson ? JSON.parse(text) : null };
    },
  };
}

export function aBook(terms: Partial<Book>): Book {
  return { accepted: 0, delivered: 0, filtered: 0, dropped: 0, dead: 0, expired: 0, pending: 0, ...terms };
}
