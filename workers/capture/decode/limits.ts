/** What a request may cost before it is refused. Arguments everywhere, so that tests shrink them. */
export interface DecodeLimits {
  /** Bytes of a body as it arrives, compressed or not. Bounds what a request makes the isolate buffer. */
  readonly wireBytes: number;
  /** Bytes of a body once decompressed. Bounds a compression bomb. */
  readonly decompressedBytes: number;
  /** Bytes of one normalised event as JSON. Bounds the row of a lane and the record at a destination. */
  readonly eventBytes: number;
  /** Levels of arrays and objects within each other. Bounds the stack of everything that walks an event later. */
  readonly nestingLevels: number;
}

const MIB = 1024 * 1024;

/** PostHog's own cap for its v0 paths: its SDKs size their batches by it. */
const WIRE_BYTES = 20 * MIB;
/** PostHog's ratio; JSON of events compresses to between a tenth and a fifth, and full-sized bodies are rare. */
const DECOMPRESSED_PER_WIRE = 5;
/** Kafka's default message cap, so that an accepted event fits its destination. */
const EVENT_BYTES = 1_000_000;
/** Above the 128 levels that PostHog's parser takes, far below the thousands at which recursive code runs out of stack. */
const NESTING_LEVELS = 200;

export const DEFAULT_LIMITS: DecodeLimits = {
  wireBytes: WIRE_BYTES,
  decompressedBytes: DECOMPRESSED_PER_WIRE * WIRE_BYTES,
  eventBytes: EVENT_BYTES,
  nestingLevels: NESTING_LEVELS,
};
