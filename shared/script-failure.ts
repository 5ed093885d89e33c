/** Why an event is a dead letter that its destination has never seen: the destination's own script failed on it. */
export function scriptFailure(message: string): string {
  return `the destination's script failed: ${message}`;
}
