/** What the pump takes at once: large enough to pay for its round trips, and small enough to hold in memory several times. */
export const BATCH_EVENTS = 500;
export const BATCH_BYTES = 1_000_000;
