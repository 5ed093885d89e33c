/** What a request may cost before it is refused. Arguments everywhere, so that tests shrink them. */
export interface DecodeLimits {
  /** Bytes of a body as it arrives, compressed or not. Bounds what a request makes the isolate buffer. */
  readonly wireBytes: number;
  /** The same for a session recording. */
  readonly recordingWireBytes: number;
  /** The same for a batch of PostHog's v1. */
  readonly v1WireBytes: number;
  /** Bytes of a body once decompressed. Bounds a compression bomb. */
  readonly decompressedBytes: number;
  /** The same where it is more than the usual multiple of what arrived: what is packed like a bomb is held shorter. */
  readonly bombBytes: number;
  /** Bytes of one normalised event as JSON. Bounds the row of a lane and the record at a destination. */
  readonly eventBytes: number;
  /** Levels of arrays and objects within each other. Bounds the stack of everything that walks an event later. */
  readonly nestingLevels: number;
  /** How long a body may take to arrive. Bounds how long a client that sends nothing holds a request. */
  readonly uploadMs: number;
}

const MIB = 1024 * 1024;

/** PostHog's own cap for its v0 paths: its SDKs size their batches by it. */
const WIRE_BYTES = 20 * MIB;
const RECORDING_WIRE_BYTES = 25 * MIB;
const V1_WIRE_BYTES = 10 * MIB;
/**
 * PostHog's cap for v1. Its v0 takes twice as much, which no SDK comes near: text, parsed events and lines of such a body are beyond
 * the 128 MB that an isolate has on Cloudflare.
 */
const DECOMPRESSED_BYTES = 50 * MIB;
/** No SDK's batches come near, and a bomb that is small on the wire ends here. */
const BOMB_BYTES = 16 * MIB;
/** By which v1's two caps differ. JSON of events compresses better than that, but not where there is so much of it. */
const USUAL_RATIO = 5;
/** Kafka's default message cap, so that an accepted event fits its destination. */
const EVENT_BYTES = 1_000_000;
/** Above the 128 levels that PostHog's parser takes, far below the thousands at which recursive code runs out of stack. */
const NESTING_LEVELS = 200;
/** The longest that PostHog's SDKs wait for an answer: who is still sending then will not read it. */
const UPLOAD_MS = 60_000;

export const DEFAULT_LIMITS: DecodeLimits = {
  wireBytes: WIRE_BYTES,
  recordingWireBytes: RECORDING_WIRE_BYTES,
  v1WireBytes: V1_WIRE_BYTES,
  decompressedBytes: DECOMPRESSED_BYTES,
  bombBytes: BOMB_BYTES,
  eventBytes: EVENT_BYTES,
  nestingLevels: NESTING_LEVELS,
  uploadMs: UPLOAD_MS,
};

/** Bytes that a body of `wireBytes` may become. */
export function inflatedLimit(wireBytes: number, limits: DecodeLimits): number {
  return Math.min(limits.decompressedBytes, Math.max(limits.bombBytes, wireBytes * USUAL_RATIO));
}
