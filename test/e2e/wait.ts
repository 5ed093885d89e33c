export const sleep = (ms: number): Promise<void> => new Promise((resolve) => setTimeout(resolve, ms));

/** Polls until `probe` gives something else than undefined, null or false. Throws, with `describe()`, once `timeoutMs` have passed. */
export async function until<T>(
  probe: () => T | Promise<T>,
  options: { timeoutMs: number; everyMs?: number; describe: () => string },
): Promise<NonNullable<T>> {
  const deadline = Date.now() + options.timeoutMs;
  for (;;) {
    const value = await probe();
    if (value !== undefined && value !== null && value !== false) return value;
    if (Date.now() > deadline) throw new Error(`after ${options.timeoutMs} ms still ${options.describe()}`);
    await sleep(options.everyMs ?? 100);
  }
}
