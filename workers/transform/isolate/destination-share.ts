import type { Event } from "../../../shared/event.ts";
import type { OwnShare, ShapedEvent } from "../../../shared/sandbox-api.ts";
import { Failure, type Outcome, type Output } from "./script.ts";

const { isArray } = Array;
const { parse, stringify } = JSON;

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
    for (let i = 0; i < outputs.length; i++) {
      const output = outputs[i] as Output;
      chars += output.line.length + (output.isBodiless === true ? line.length : 0);
    }
    if (chars > room) return this.#drop(position) - 1;
    for (let i = 0; i < outputs.length; i++) {
      const output = outputs[i] as Output;
      this.#push(position, output.isBodiless === true ? withEvent(output.line, line) : output.line);
    }
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

/** A shaped request with the whole event that it is about, as the script got it. */
function withEvent(shaped: string, line: string): string {
  const { uuid, $request } = parse(shaped) as ShapedEvent;
  return stringify({ ...(parse(line) as Event), uuid, $request });
}
