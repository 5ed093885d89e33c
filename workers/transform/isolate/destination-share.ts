import type { OwnShare } from "../../../shared/sandbox-api.ts";
import { Failure, type Outcome, type Output } from "./script.ts";

const { isArray } = Array;

export type ShaperPolicy = "dead_letter" | "pass" | "drop";

/** What a destination's own script has made of a batch so far. */
export class DestinationShare {
  readonly lines: string[] = [];
  readonly #sources: number[] = [];
  readonly #dropped: number[] = [];
  readonly #dead: OwnShare["dead"] = [];

  /**
   * Writes down what became of the event line at `position`; positions come ascending. `room`: characters that it may take.
   * Returns the characters that it took; -1 where it does not fit, and is dropped.
   */
  add(position: number, line: string, outcome: Outcome, policy: ShaperPolicy, room: number): number {
    if (outcome === null) return this.#drop(position);
    if (outcome instanceof Failure) {
      if (policy === "drop") return this.#drop(position);
      if (line.length > room) return this.#drop(position) - 1;
      if (policy === "dead_letter") this.#dead.push({ line: this.lines.length, message: outcome.message });
      return this.#push(position, line);
    }
    const outputs = isArray(outcome) ? outcome : [outcome];
    let chars = 0;
    for (let i = 0; i < outputs.length; i++) chars += (outputs[i] as Output).line.length;
    if (chars > room) return this.#drop(position) - 1;
    for (let i = 0; i < outputs.length; i++) this.#push(position, (outputs[i] as Output).line);
    return chars;
  }

  #push(position: number, line: string): number {
    this.#sources.push(position);
    this.lines.push(line);
    return line.length;
  }

  #drop(position: number): number {
    this.#dropped.push(position);
    return 0;
  }

  read(): OwnShare {
    return { count: this.lines.length, sources: this.#sources, dropped: this.#dropped, dead: this.#dead };
  }
}
