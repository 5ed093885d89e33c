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
      else if (!isRuntimeNoise(line)) process.stderr.write(`${readable(line)}\n`);
    },
    log: (record) => {
      process.stderr.write(`${JSON.stringify(record)}\n`);
    },
  };
}

/** workerd reports its own failures with a stack of addresses, which helps nobody here and tells where the project lies. */
function isRuntimeNoise(line: string): boolean {
  return line.startsWith("stack: ");
}

const REFUSED = /connecting to (\S+) is not allowed/;

function readable(line: string): string {
  const [, address] = REFUSED.exec(line) ?? [];
  if (address === undefined) return line;
  const message = `a destination is at ${address}, which is not a public address: allow its range with --allow-private, or change its URL`;
  return JSON.stringify({ level: "warn", stage: "deliver", message });
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
