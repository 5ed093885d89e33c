import { concatLines, lineStarts, sliceLines } from "../../shared/ndjson.ts";
import { appendRun } from "../../shared/runs.ts";
import type { OwnShare } from "../../shared/sandbox-api.ts";
import type { Replayable } from "./dead-letter-store.ts";

/** What dead letters become when they are replayed. */
export interface Reshaped {
  /** How many of them this is about: the first ones, at least one. */
  ran: number;
  /** Of those, by index: what is sent, dropped, and dead once more. Each of them is in it. */
  share: OwnShare;
  /** NDJSON, `share.count` lines. */
  lines: Uint8Array;
}

/** Each goes as it is. */
export function unchanged(letters: readonly Replayable[]): Reshaped {
  const sources = letters.map((_, i) => i);
  const lines = concatLines(letters.map(({ body }) => body));
  return { ran: letters.length, share: { count: letters.length, sources, dropped: [], dead: [] }, lines };
}

/** Whether each of the first `ran` is in the share, and the share's lines are there: what does not hold would lose events. */
export function isComplete({ ran, share, lines }: Reshaped): boolean {
  const has = lines.length === 0 ? 0 : lineStarts(lines).length - 1;
  if (has !== share.count || share.sources.length !== share.count || ran < 1) return false;
  const found = new Set([...share.sources, ...share.dropped]);
  for (let i = 0; i < ran; i++) if (!found.has(i)) return false;
  return share.dead.every(({ line }) => line >= 0 && line < share.count);
}

/** What there is to write for the letters that are still there: someone else may have replayed or discarded some meanwhile. */
export interface Revival {
  /** NDJSON of what is to be sent. */
  events: Uint8Array;
  starts: number[];
  tokens: [string, number][];
  count: number;
  bytes: number;
  /** No dead letters any more. */
  revived: Replayable[];
  /** Still dead, and why. */
  failed: { id: number; message: string }[];
  dropped: number;
  /** Results beyond one a letter. */
  emitted: number;
}

export function revivalOf(letters: readonly Replayable[], made: Reshaped, present: ReadonlySet<number>): Revival {
  const { share, lines } = made;
  const isThere = (index: number) => present.has(letters[index]?.id as number);
  const failures = new Map<number, string>();
  const deadLines = new Set<number>();
  for (const { line, message } of share.dead) {
    deadLines.add(line);
    failures.set(share.sources[line] as number, message);
  }
  const starts = lineStarts(lines);
  const kept: Uint8Array[] = [];
  const tokens: [string, number][] = [];
  for (const [line, source] of share.sources.entries()) {
    if (deadLines.has(line) || !isThere(source)) continue;
    kept.push(sliceLines(lines, starts, line, line + 1));
    appendRun(tokens, (letters[source] as Replayable).token, 1);
  }
  const events = concatLines(kept);
  const there = letters.slice(0, made.ran).filter(({ id }) => present.has(id));
  const failed = [...failures].filter(([index]) => isThere(index));
  const dropped = share.dropped.filter(isThere).length;
  const stillDead = new Set(failed.map(([index]) => letters[index]));
  return {
    ...{
      events,
      starts: lineStarts(events),
      tokens,
      count: kept.length,
      bytes: kept.length === 0 ? 0 : events.length + 1,
    },
    revived: there.filter((letter) => !stillDead.has(letter)),
    failed: failed.map(([index, message]) => ({ id: (letters[index] as Replayable).id, message })),
    dropped,
    emitted: kept.length + failed.length + dropped - there.length,
  };
}
