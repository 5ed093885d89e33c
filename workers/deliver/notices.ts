import { messageOf } from "../../shared/errors.ts";
import { encodeLines } from "../../shared/ndjson.ts";
import { NOTIFICATIONS } from "../../shared/notifications.ts";
import type { OutboxAppend, OutboxAppended } from "../../shared/outbox-api.ts";
import type { TeamSnapshot } from "../../shared/snapshot.ts";
import type { Outbox } from "./outbox.ts";

export interface NoticesDeps {
  outbox: Pick<Outbox, "identity" | "notices" | "forgetNotices">;
  /** The team's configuration; throws where it cannot be read now. */
  snapshot: (team: string) => Promise<TeamSnapshot | null>;
  /** To the team's notifications. Throws where it is not taken. */
  append: (append: OutboxAppend) => Promise<OutboxAppended>;
  log: (record: Record<string, unknown>) => void;
}

/** Of one append. */
const NOTICES_COUNT = 100;

/**
 * Hands what a team is to be told over to the outbox of its notifications, which sends it like any event. A notice keeps its number, so
 * that one handed over twice is taken once; what fails is tried again with the next wake.
 */
export class Notices {
  readonly #deps: NoticesDeps;
  #flushing: Promise<void> | null = null;

  constructor(deps: NoticesDeps) {
    this.#deps = deps;
  }

  /** Never throws. */
  flush(): Promise<void> {
    this.#flushing ??= this.#send()
      .catch((error: unknown) => {
        const message = `notifications wait: ${messageOf(error)}`;
        this.#deps.log({ level: "warn", message, ...this.#deps.outbox.identity() });
      })
      .finally(() => {
        this.#flushing = null;
      });
    return this.#flushing;
  }

  async #send(): Promise<void> {
    const { outbox } = this.#deps;
    const identity = outbox.identity();
    if (identity === null) return;
    for (let notices = outbox.notices(NOTICES_COUNT); notices.length > 0; notices = outbox.notices(NOTICES_COUNT)) {
      const [first, last] = [notices[0], notices.at(-1)] as [{ id: number }, { id: number }];
      const snapshot = await this.#deps.snapshot(identity.team);
      if (snapshot?.notifications !== undefined) {
        const appended = await this.#deps.append({
          ...{ team: identity.team, destination: NOTIFICATIONS, lane: `$notices:${identity.destination}` },
          ...{ after: first.id - 1, through: last.id, seqs: notices.map(({ id }) => id) },
          ...{ events: encodeLines(notices.map(({ body }) => body)), tokens: [["", notices.length]] },
          ...{ dropped: [], filtered: [], expired: [] },
        });
        if (appended.status !== "stored")
          throw new Error(`the outbox of the team's notifications is ${appended.status}`);
      }
      outbox.forgetNotices(last.id);
    }
  }
}
