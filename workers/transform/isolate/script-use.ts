import type { ScriptUse } from "../../../shared/sandbox-api.ts";

const { clz32, floor } = Math;
/** Of the numbers that `clz32` takes. */
const BITS_COUNT = 32;

/** Counts what one script used over one batch. */
export class UseMeter {
  dropped = 0;
  errors = 0;
  #events = 0;
  #steps = 0;
  readonly #histogram: number[] = new Array<number>(BITS_COUNT + 1).fill(0);

  /** One event's call. */
  add(steps: number): void {
    this.#events++;
    this.#steps += steps;
    (this.#histogram[BITS_COUNT - clz32(steps)] as number)++;
  }

  /** One call over several events: each is counted with its share of the steps. */
  addTogether(events: number, steps: number): void {
    this.#events += events;
    this.#steps += steps;
    (this.#histogram[BITS_COUNT - clz32(floor(steps / events))] as number) += events;
  }

  /** Steps of a call that is made again, event by event. */
  addSteps(steps: number): void {
    this.#steps += steps;
  }

  /** Null where the script was given nothing. */
  read(script: string): ScriptUse | null {
    if (this.#events === 0) return null;
    const histogram = this.#histogram;
    let length = histogram.length;
    while (length > 0 && histogram[length - 1] === 0) length--;
    return {
      script,
      events: this.#events,
      dropped: this.dropped,
      errors: this.errors,
      steps: this.#steps,
      histogram: histogram.slice(0, length),
    };
  }
}
