/** Where the runtime's lines go: deliveries of a `terminal` destination to stdout, logs to stderr; with --json everything but the ready line to stderr. */
export function printer(json: boolean): {
  print(line: string, level: string): void;
  log(record: Record<string, unknown>): void;
} {
  const deliveries = json ? process.stderr : process.stdout;
  return {
    print: (line) => {
      const delivery = deliveryOf(line);
      if (delivery !== null) deliveries.write(`${delivery}\n`);
      else process.stderr.write(`${line}\n`);
    },
    log: (record) => {
      process.stderr.write(`${JSON.stringify(record)}\n`);
    },
  };
}

/** The text of a line that the `terminal` destination printed; null for a log line. */
function deliveryOf(line: string): string | null {
  if (!line.startsWith('{"print":')) return null;
  try {
    const { print } = JSON.parse(line) as { print: unknown };
    return typeof print === "string" ? print : null;
  } catch {
    return null;
  }
}
