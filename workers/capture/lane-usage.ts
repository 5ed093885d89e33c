import type { Clock } from "../../shared/clock.ts";
import type { DailyResource, DailyUsage } from "../../shared/lane-api.ts";
import type { Runs } from "../../shared/runs.ts";
import { utcDay } from "../../shared/utc-day.ts";
import type { LaneStore } from "./lane-store.ts";

/** What a lane has accepted today, by resource, for the team's quota. */
export class LaneUsage {
  readonly #store: Pick<LaneStore, "usage" | "setUsage">;
  readonly #clock: Clock;
  #usage: DailyUsage;

  constructor(store: Pick<LaneStore, "usage" | "setUsage">, clock: Clock) {
    this.#store = store;
    this.#clock = clock;
    const day = utcDay(clock.now());
    this.#usage = { day, counts: store.usage(day) };
  }

  /** Never changes once it is given out. */
  today(): DailyUsage {
    const day = utcDay(this.#clock.now());
    if (this.#usage.day !== day) this.#usage = { day, counts: {} };
    return this.#usage;
  }

  /** Writes inside the transaction of the events that it counts. */
  add(resources: Runs<DailyResource>): void {
    const { day, counts } = this.today();
    const sums = { ...counts };
    for (const [resource, count] of resources) sums[resource] = (sums[resource] ?? 0) + count;
    this.#usage = { day, counts: sums };
    this.#store.setUsage(day, sums);
  }

  /** The transaction has failed. */
  restore(usage: DailyUsage): void {
    this.#usage = usage;
  }
}
