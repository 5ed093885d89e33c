/**
 * The books of invariant 5, added up over the objects that hold a part of them.
 * An event is first in its lane, then in the outbox. What a lane has and an outbox has not taken yet is pending, and accepted. What is in a
 * lane's quarantine no outbox has been told of: it is dead at every destination, and dropped once it is discarded.
 */
import type { LaneStatus } from "./lane-api.ts";
import type { Book, OutboxStatus } from "./outbox-api.ts";
import { own } from "./own.ts";

export const EMPTY_BOOK: Readonly<Book> = {
  accepted: 0,
  delivered: 0,
  filtered: 0,
  dropped: 0,
  dead: 0,
  expired: 0,
  pending: 0,
};

export function addBooks(a: Readonly<Book>, b: Readonly<Book>): Book {
  return {
    accepted: a.accepted + b.accepted,
    delivered: a.delivered + b.delivered,
    filtered: a.filtered + b.filtered,
    dropped: a.dropped + b.dropped,
    dead: a.dead + b.dead,
    expired: a.expired + b.expired,
    pending: a.pending + b.pending,
  };
}

/** accepted = delivered + filtered + dropped + dead + expired + pending, and no term below zero. */
export function isBalanced(book: Readonly<Book>): boolean {
  const { accepted, ...terms } = book;
  const values = Object.values(terms);
  return values.every((term) => term >= 0) && values.reduce((sum, term) => sum + term, 0) === accepted;
}

/**
 * Events of the team's lanes that the destination's outbox has not taken. A lane that was asked before the outbox may count events
 * that have crossed meanwhile, so the outbox's own position in that lane bounds the lane's count.
 */
export function waitingInLanes(
  destination: string,
  lanes: readonly LaneStatus[],
  outbox: Pick<OutboxStatus, "lanes"> | null,
): number {
  let waiting = 0;
  for (const lane of lanes) {
    const pending = own(lane.pending, destination) ?? 0;
    const taken = outbox === null ? undefined : own(outbox.lanes, lane.lane);
    waiting += taken === undefined ? pending : Math.min(pending, Math.max(0, lane.nextSeq - 1 - taken));
  }
  return waiting;
}

/** One destination's whole book: its outbox's, and what waits for it, or is kept from it, in the lanes. Ask the lanes before the outbox. */
export function wholeBook(destination: string, lanes: readonly LaneStatus[], outbox: OutboxStatus | null): Book {
  const waiting = waitingInLanes(destination, lanes, outbox);
  const dead = lanes.reduce((sum, { quarantined }) => sum + quarantined, 0);
  const dropped = lanes.reduce((sum, { discarded }) => sum + discarded, 0);
  const inLanes = { ...EMPTY_BOOK, accepted: waiting + dead + dropped, pending: waiting, dead, dropped };
  return addBooks(outbox?.book ?? EMPTY_BOOK, inLanes);
}
