/** Runs a RudderStack transformation: what the wrapper of such a script, and the script itself, import (dialect.ts). */
import type { Event } from "../../../../shared/event.ts";
import { asOutcome, type Context, type Outcome, type Script, sortOutputs, whenReturned } from "./parts/context.ts";
import { clone, isObject } from "./parts/json.ts";
import { placedAddress } from "./parts/placed-address.ts";
import { bareEvent, eventFrom, type Message, messageOf } from "./parts/segment-message.ts";

type Metadata = Record<string, unknown>;
type Hook = (given: unknown, metadata: (message?: unknown) => Metadata) => unknown;

/** What runs now: scripts of an isolate run one at a time. */
let context: Context | null = null;
let events: readonly Event[] = [];

/** Under the names that scripts use without importing them. */
export function log(...values: unknown[]): void {
  context?.log(...values);
}

/** Undefined where the script has no such secret, as there. */
export function getCredential(name: unknown): string | undefined {
  if (context === null) throw new Error("getCredential can be called inside of transformEvent and transformBatch only");
  if (typeof name !== "string") throw new TypeError("getCredential takes the name of a credential, a text");
  return context.credentials?.[name];
}

/** Where an address is that one of the events came from. */
export async function geolocation(ip: unknown): Promise<Record<string, unknown>> {
  for (const event of events) {
    if (event.geo === undefined || ip !== placedAddress(event)) continue;
    const { city, country, region, latitude, longitude, timezone } = event.geo;
    const location = latitude === undefined || longitude === undefined ? undefined : `${latitude},${longitude}`;
    return { ip, city, country, region, location, timezone };
  }
  throw new Error("geolocation knows only the addresses that events came from, and where the edge saw their clients");
}

export class Transformation {
  readonly #script: Script;

  constructor(script: Script) {
    this.#script = script;
  }

  transform(event: Event, current: Context): Outcome | Promise<Outcome> {
    begin(current, [event]);
    const before = messageOf(event);
    const returned = this.#hook("transformEvent")(clone(before), metadataOf([before], [event], current));
    return whenReturned(returned, (output) => {
      if (output === null || output === undefined) return null;
      const outputs: unknown[] = Array.isArray(output) ? output : [output];
      return asOutcome(outputs.map((message) => eventFrom(asMessage(message, "transformEvent"), before, event)));
    });
  }

  transformBatch(batch: Event[], current: Context): Outcome[] | Promise<Outcome[]> {
    begin(current, batch);
    const before = batch.map(messageOf);
    const given = before.map(clone);
    const returned = this.#hook("transformBatch")([...given], metadataOf(before, batch, current));
    return whenReturned(returned, (outputs) => {
      if (!Array.isArray(outputs)) throw new TypeError("transformBatch returned no array of events");
      for (const output of outputs) asMessage(output, "transformBatch");
      return sortOutputs(given, outputs as Message[], ({ messageId }) => messageId).map((slot, i) => {
        const event = batch[i] as Event;
        return asOutcome(
          slot.map(({ item, isNew }) => {
            if (!isNew) return eventFrom(item, before[i] as Message, event);
            const bare = bareEvent(event);
            return eventFrom(item, messageOf(bare), bare);
          }),
        );
      });
    });
  }

  #hook(name: string): Hook {
    const hook = this.#script[name];
    if (typeof hook !== "function") throw new TypeError(`its export "${name}" is a ${typeof hook}, not a function`);
    return hook as Hook;
  }
}

function begin(current: Context, batch: readonly Event[]): void {
  context = current;
  events = batch;
}

function asMessage(output: unknown, by: string): Message {
  if (!isObject(output)) throw new TypeError(`returned something else than an event from ${by}`);
  return output as Message;
}

/** By `messageId`, as there: of an event that the batch does not hold nothing is known. */
function metadataOf(messages: readonly Message[], batch: readonly Event[], { team }: Context): Parameters<Hook>[1] {
  return (message) => {
    const id = isObject(message) ? message.messageId : undefined;
    const at = messages.findIndex(({ messageId }) => messageId === id);
    const event = batch[at];
    if (event === undefined) return {};
    const { type, event: name } = messages[at] as Message;
    return {
      sourceId: event.source,
      sourceName: event.source,
      workspaceId: team,
      namespace: team,
      messageId: id,
      eventName: name ?? "",
      eventType: type,
      receivedAt: event.received_at,
    };
  };
}
