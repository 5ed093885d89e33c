/** One structured line. Never payloads, never secrets: names, counts and messages. */
export function logLine(record: Record<string, unknown>): void {
  console.log(JSON.stringify(record));
}
