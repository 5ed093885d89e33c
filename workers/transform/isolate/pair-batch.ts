import { OutputError } from "./output.ts";

const { isArray } = Array;

/** The events that a `transformBatch` was given, by position. */
export interface Given {
  /** The objects as they were handed over. */
  events: readonly object[];
  /** As they stood before. */
  uuids: readonly string[];
}

/**
 * Which of the given events each returned one belongs to: for each position what came of it, in the order in which it was
 * returned; undefined where nothing did. A returned element belongs to
 * 1. the event that it is, or whose uuid it carries, wherever it stands: filtering and sorting need no help;
 * 2. else, in an array as long as the one given, the event at its position: `events.map(…)` may build new objects, or none;
 * 3. else the event that the element before it belongs to (the first one at the start).
 * An element that is an array stands for each of its own. Throws OutputError for more events than can be meant.
 */
export function pairBatch(returned: readonly unknown[], given: Given, outputs: number): (unknown[] | undefined)[] {
  const { length } = returned;
  const count = given.events.length;
  refuseMany(length, count * outputs);
  const pairs = new Pairs(given);
  const isAligned = length === count;
  for (let i = 0; i < length; i++) {
    const element: unknown = returned[i];
    if (isAligned) pairs.position = i;
    if (isArray(element)) {
      const inner = element.length;
      refuseMany(inner, outputs);
      for (let j = 0; j < inner; j++) pairs.add(element[j]);
    } else {
      pairs.add(element);
    }
  }
  return pairs.groups;
}

class Pairs {
  /** Where an element goes that nothing else tells the place of. */
  position = 0;
  readonly groups: (unknown[] | undefined)[];
  readonly #given: Given;
  #byObject: Map<unknown, number> | null = null;
  #byUuid: Map<unknown, number> | null = null;

  constructor(given: Given) {
    this.#given = given;
    this.groups = new Array<unknown[] | undefined>(given.events.length).fill(undefined);
  }

  add(element: unknown): void {
    if (element === null || element === undefined) return;
    if (typeof element === "object") this.position = this.#find(element);
    const group = this.groups[this.position];
    if (group === undefined) this.groups[this.position] = [element];
    else group.push(element);
  }

  #find(element: object): number {
    const { events, uuids } = this.#given;
    const { position } = this;
    if (element === events[position]) return position;
    const { uuid } = element as { uuid?: unknown };
    if (uuid === uuids[position]) return position;
    this.#byObject ??= new Map(events.map((event, i) => [event, i]));
    this.#byUuid ??= new Map(uuids.map((text, i) => [text, i]));
    return this.#byObject.get(element) ?? this.#byUuid.get(uuid) ?? position;
  }
}

function refuseMany(count: number, limit: number): void {
  if (count > limit) throw new OutputError(`returned ${count} events: at most ${limit} are possible`);
}
