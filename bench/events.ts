import { randomBytes } from "node:crypto";
import { postRequest } from "./load.ts";

/** Digits at the end of a uuid that count the events of a bench run; what stands before them keeps runs apart. */
export const COUNTER_DIGITS = 8;
export const COUNTER_AT = 36 - COUNTER_DIGITS;
const HEX = Buffer.from("0123456789abcdef");
const USERS = 100;
/** What a browser SDK sends with a page view comes to about this. */
const EVENT_BYTES = 700;

function event(uuid: string, n: number): object {
  const body = {
    event: "$pageview",
    distinct_id: `user-${n % USERS}`,
    uuid,
    timestamp: "2026-01-01T00:00:00.000Z",
    properties: {
      $current_url: `https://shop.example.com/products/${n}?ref=newsletter&campaign=spring`,
      $pathname: `/products/${n}`,
      $referrer: "https://www.example.org/",
      $browser: "Chrome",
      $browser_version: 131,
      $os: "Mac OS X",
      $device_type: "Desktop",
      $screen_height: 1080,
      $screen_width: 1920,
      $lib: "web",
      $lib_version: "1.418.10",
      $session_id: "0190b0f0-1111-7000-8000-000000000000",
      email: `person${n}@example.com`,
      plan: n % 2 === 0 ? "pro" : "free",
      padding: "",
    },
  };
  body.properties.padding = "x".repeat(Math.max(0, EVENT_BYTES - JSON.stringify(body).length));
  return body;
}

/** The n-th counter read from the text of a uuid at `at`. */
export function readCounter(bytes: Buffer, at: number): number {
  return Number.parseInt(bytes.toString("latin1", at + COUNTER_AT, at + COUNTER_AT + COUNTER_DIGITS), 16);
}

/** A request that holds a uuid once for each of its events: every copy counts the last digits of each of them up. */
export class CountedRequest {
  readonly #bytes: Buffer;
  readonly #counters: number[] = [];
  #requests = 0;

  constructor(bytes: Buffer, uuid: string) {
    this.#bytes = bytes;
    for (let at = bytes.indexOf(uuid); at !== -1; at = bytes.indexOf(uuid, at + 1))
      this.#counters.push(at + COUNTER_AT);
  }

  /** How many requests were made so far; of n events each, request k holds the counters from k × n on. */
  get made(): number {
    return this.#requests;
  }

  /** The next request: a copy, so that it may wait in a socket. */
  next = (): Buffer => {
    const bytes = Buffer.from(this.#bytes);
    let counter = this.#requests++ * this.#counters.length;
    for (const at of this.#counters) writeHex(bytes, at, counter++);
    return bytes;
  };
}

/** Requests of `size` events each as `POST /batch/`; every event of every request has a uuid of its own. */
export class BatchTemplate extends CountedRequest {
  readonly size: number;
  /** JSON text of one request's body, for baselines that work on the same bytes. */
  readonly body: string;

  constructor(url: string, token: string, size: number) {
    const run = randomBytes(4).toString("hex");
    const uuid = `${run}-0000-7000-8000-000000000000`;
    const batch = Array.from({ length: size }, (_, n) => event(uuid, n));
    const body = JSON.stringify({ api_key: token, batch });
    super(postRequest(url, "/batch/", Buffer.from(body)), uuid);
    this.size = size;
    this.body = body;
  }
}

function writeHex(bytes: Buffer, at: number, value: number): void {
  let rest = value;
  for (let digit = at + COUNTER_DIGITS - 1; digit >= at; digit--) {
    bytes[digit] = HEX[rest & 15] as number;
    rest >>>= 4;
  }
}
