/** Run-length encoding of one value per line: `[["phc_a", 499], ["phc_b", 1]]`. Counts are positive. */
export type Runs<T> = readonly (readonly [value: T, count: number])[];

/** The runs with `count` more of `value` at their end. */
export function appendRun<T>(runs: [T, number][], value: T, count: number): void {
  if (count <= 0) return;
  const last = runs.at(-1);
  if (last !== undefined && last[0] === value) last[1] += count;
  else runs.push([value, count]);
}

export function expandRuns<T>(runs: Runs<T>): T[] {
  const values: T[] = [];
  for (const [value, count] of runs) for (let i = 0; i < count; i++) values.push(value);
  return values;
}

/** The runs of the lines [from, to). */
export function sliceRuns<T>(runs: Runs<T>, from: number, to: number): [T, number][] {
  const slice: [T, number][] = [];
  let at = 0;
  for (const [value, count] of runs) {
    appendRun(slice, value, Math.min(to, at + count) - Math.max(from, at));
    at += count;
  }
  return slice;
}
