import { sliceLines } from "../../shared/ndjson.ts";
import { expandRuns } from "../../shared/runs.ts";
import { bytesOf, ChunkWalk, type OpenChunk, type Segment } from "./chunk-walk.ts";
import { type Cut, type CutLimits, cutOf, type EventQueue, type Next } from "./event-queue.ts";
import type { Chunk, OutboxStore } from "./outbox-store.ts";
import { isShapedLine } from "./shaped-event.ts";
import { userOf } from "./user-of.ts";

/**
 * Cuts requests so that the events of one user (distinct_id) keep their order and nobody waits for another user (invariant 3): a user
 * is in one request at a time, and stays held back until nothing of that request is left to be tried again. Events of users that
 * are held back are stepped over and wait in memory, up to a bound; at the bound all users wait.
 *
 * Nothing of this is stored: what is not settled is where it was, and the failed requests in the store say who is held back.
 */
export class UserQueue implements EventQueue {
  readonly #walk: ChunkWalk;
  readonly #salt: string;
  readonly #limits: WindowLimits;
  readonly #users = new Map<string, User>();
  /** Users with events that may go now, the one who has waited longest first. */
  readonly #ready = new Set<string>();
  readonly #readySum = { count: 0, bytes: 0 };
  /** Read and not under way, of all users. */
  readonly #window = { count: 0, bytes: 0 };
  /** The chunks that these are from, in order. */
  readonly #chunks = new Map<number, { acceptedAt: number; left: number }>();
  claimed = { count: 0, bytes: 0 };

  /** `held`: the users of requests that have failed, each as often as there are such requests. */
  constructor(store: OutboxStore, salt: string, held: Iterable<string>, limits: WindowLimits = DEFAULT_WINDOW_LIMITS) {
    this.#walk = new ChunkWalk(store);
    this.#salt = salt;
    this.#limits = limits;
    for (const user of held) this.#user(user).busy += 1;
  }

  offer(chunk: Chunk): void {
    this.#walk.offer(chunk);
  }

  oldestAt(): number | null {
    for (const { acceptedAt } of this.#chunks.values()) return acceptedAt;
    return this.#walk.nextAt();
  }

  next(limits: CutLimits): Next {
    this.#fill(limits);
    const { count, bytes } = this.#readySum;
    const alone = this.#alone(limits) !== null;
    // A request that is full does not wait, whatever its age.
    if (alone || this.#isFull(limits) || count === 0) return { count, bytes, oldestAt: this.oldestAt(), alone };
    let oldestAt = Number.POSITIVE_INFINITY;
    for (const name of this.#ready) oldestAt = Math.min(oldestAt, (this.#user(name).lines[0] as Line).acceptedAt);
    return { count, bytes, oldestAt, alone };
  }

  cut(limits: CutLimits, before = Number.POSITIVE_INFINITY): Cut | null {
    const chosen = before === Number.POSITIVE_INFINITY ? this.#choose(limits) : this.#chooseOlder(limits, before);
    if (chosen.length === 0) return null;
    const lines = chosen.flatMap(([name, count]) => this.#claim(name, count));
    lines.sort((a, b) => a.chunk - b.chunk || a.index - b.index);
    const bytes = lines.reduce((sum, line) => sum + line.bytes, 0);
    this.claimed.count += lines.length;
    this.claimed.bytes += bytes;
    return cutOf(
      this.#salt,
      lines.map(({ text }) => text),
      {
        ...{ segments: segmentsOf(lines), count: lines.length, bytes },
        tokens: lines.map(({ token }) => token),
        acceptedAt: (lines[0] as Line).acceptedAt,
      },
    );
  }

  settle(cut: Cut): void {
    this.claimed.count -= cut.count;
    this.claimed.bytes -= cut.bytes;
    this.#walk.settle(cut.segments);
  }

  /** Nothing of a request is left to be tried again for these users. Call it once that is on disk. */
  release(users: readonly string[]): void {
    for (const name of users) {
      const user = this.#user(name);
      user.busy -= 1;
      if (user.busy > 0) continue;
      if (user.lines.length > 0) this.#makeReady(name, user);
      else this.#users.delete(name);
    }
  }

  /** Reads on until a request can be filled, nothing is left, or too many events wait for held-back users. */
  #fill(limits: CutLimits): void {
    while (!this.#isFull(limits)) {
      const heldBack = this.#window.count - this.#readySum.count;
      const heldBackBytes = this.#window.bytes - this.#readySum.bytes;
      if (heldBack >= this.#limits.maxCount || heldBackBytes >= this.#limits.maxBytes) return;
      const chunk = this.#walk.open();
      if (chunk === null) return;
      this.#take(chunk);
    }
  }

  #isFull({ maxEvents, maxBytes }: CutLimits): boolean {
    return this.#readySum.count >= maxEvents || this.#readySum.bytes >= maxBytes;
  }

  /** Gives a chunk's lines to their users. */
  #take(chunk: OpenChunk): void {
    const tokens = expandRuns(chunk.tokens);
    let left = 0;
    for (const [from, to] of chunk.free) {
      for (let index = from; index < to; index++) {
        // A copy, so that an event that waits for long does not keep its whole chunk in memory.
        const text = sliceLines(chunk.events, chunk.starts, index, index + 1).slice();
        const bytes = bytesOf(chunk.starts, index, index + 1);
        const { id, acceptedAt } = chunk;
        const shaped = isShapedLine(text, 0, text.length);
        this.#add(userOf(text), { chunk: id, acceptedAt, index, text, bytes, token: tokens[index] ?? "", shaped });
        left++;
      }
    }
    if (left > 0) this.#chunks.set(chunk.id, { acceptedAt: chunk.acceptedAt, left });
  }

  #add(name: string, line: Line): void {
    const user = this.#user(name);
    user.lines.push(line);
    user.bytes += line.bytes;
    this.#window.count += 1;
    this.#window.bytes += line.bytes;
    if (user.busy > 0) return;
    this.#ready.add(name);
    this.#readySum.count += 1;
    this.#readySum.bytes += line.bytes;
  }

  #makeReady(name: string, user: User): void {
    this.#ready.add(name);
    this.#readySum.count += user.lines.length;
    this.#readySum.bytes += user.bytes;
  }

  /** A user whose next event is a request by itself; one that is not first in line only where the others do not fill a request. */
  #alone(limits: CutLimits): string | null {
    if (limits.shapedAlone !== true) return null;
    for (const name of this.#ready) {
      if (this.#user(name).lines[0]?.shaped === true) return name;
      if (this.#isFull(limits)) return null;
    }
    return null;
  }

  /** Who goes with how many events. */
  #choose(limits: CutLimits): Chosen[] {
    this.#fill(limits);
    const alone = this.#alone(limits);
    if (alone !== null) return [[alone, 1]];
    const chosen: Chosen[] = [];
    const room = { count: limits.maxEvents, bytes: limits.maxBytes };
    for (const name of this.#ready) {
      let count = 0;
      for (const line of this.#user(name).lines) {
        // An event larger than a request may be goes alone: the destination has the last word.
        const isFirst = chosen.length === 0 && count === 0;
        if ((limits.shapedAlone === true && line.shaped) || room.count === 0 || (line.bytes > room.bytes && !isFirst))
          break;
        count++;
        room.count -= 1;
        room.bytes -= line.bytes;
      }
      if (count > 0) chosen.push([name, count]);
      if (room.count <= 0 || room.bytes <= 0) break;
    }
    return chosen;
  }

  /** Events from `before` or earlier, held back or not. */
  #chooseOlder(limits: CutLimits, before: number): Chosen[] {
    const [oldest] = this.#chunks.values();
    if ((oldest?.acceptedAt ?? Number.POSITIVE_INFINITY) > before) {
      if ((this.#walk.nextAt() ?? Number.POSITIVE_INFINITY) > before) return [];
      this.#take(this.#walk.open() as OpenChunk);
    }
    const chosen: Chosen[] = [];
    const room = { count: limits.maxEvents, bytes: limits.maxBytes };
    for (const [name, { lines }] of this.#users) {
      const old = lines.findIndex(({ acceptedAt }) => acceptedAt > before);
      const count = Math.min(old === -1 ? lines.length : old, room.count);
      if (count > 0) chosen.push([name, count]);
      room.count -= count;
      for (const line of lines.slice(0, count)) room.bytes -= line.bytes;
      if (room.count <= 0 || room.bytes <= 0) break;
    }
    return chosen;
  }

  #claim(name: string, count: number): Line[] {
    const user = this.#user(name);
    if (user.busy === 0) {
      this.#ready.delete(name);
      this.#readySum.count -= user.lines.length;
      this.#readySum.bytes -= user.bytes;
    }
    user.busy += 1;
    const lines = user.lines.splice(0, count);
    for (const { bytes, chunk } of lines) {
      user.bytes -= bytes;
      this.#window.count -= 1;
      this.#window.bytes -= bytes;
      const from = this.#chunks.get(chunk) as { left: number };
      from.left -= 1;
      if (from.left === 0) this.#chunks.delete(chunk);
    }
    return lines;
  }

  #user(name: string): User {
    let user = this.#users.get(name);
    if (user === undefined) {
      user = { lines: [], bytes: 0, busy: 0 };
      this.#users.set(name, user);
    }
    return user;
  }
}

/** How many events may wait in memory because their users are held back. */
export interface WindowLimits {
  maxCount: number;
  maxBytes: number;
}

export const DEFAULT_WINDOW_LIMITS: WindowLimits = {
  maxCount: 20_000,
  // An eighth of what a Durable Object has in memory.
  maxBytes: 16_000_000,
};

interface User {
  /** Not under way, in order. */
  lines: Line[];
  bytes: number;
  /** Requests under way or failed that hold events of this user. */
  busy: number;
}

interface Line {
  chunk: number;
  acceptedAt: number;
  index: number;
  text: Uint8Array;
  /** With its newline. */
  bytes: number;
  token: string;
  shaped: boolean;
}

type Chosen = [user: string, count: number];

/** Neighbours merge. */
function segmentsOf(lines: readonly Line[]): Segment[] {
  const segments: Segment[] = [];
  for (const { chunk, index, bytes } of lines) {
    const last = segments.at(-1);
    if (last !== undefined && last.chunk === chunk && last.to === index) {
      last.to += 1;
      last.bytes += bytes;
    } else segments.push({ chunk, from: index, to: index + 1, bytes });
  }
  return segments;
}
