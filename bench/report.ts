/** One line of the table: a figure and what it is held against, both measured in the same run. */
export interface Row {
  what: string;
  value: number;
  unit: string;
  /** Absent where the figure stands alone. */
  baseline?: { what: string; value: number };
  /** The least ratio to the baseline that counts as good, as a fraction. */
  atLeast?: number;
  /** The largest value that counts as good. */
  atMost?: number;
  note?: string;
}

const HEADS = ["what", "figure", "baseline", "ratio", "mark"];

/** The rows as a markdown table, columns aligned. */
export function table(rows: readonly Row[]): string {
  const lines = [HEADS, ...rows.map(cells)];
  const widths = HEADS.map((_, column) => Math.max(...lines.map((line) => (line[column] ?? "").length)));
  const print = (line: string[]) => `| ${line.map((cell, column) => cell.padEnd(widths[column] ?? 0)).join(" | ")} |`;
  const rule = `|${widths.map((width) => "-".repeat(width + 2)).join("|")}|`;
  return [print(HEADS), rule, ...rows.map((row) => print(cells(row)))].join("\n");
}

function cells(row: Row): string[] {
  const ratio = row.baseline === undefined ? null : row.value / row.baseline.value;
  return [
    row.note === undefined ? row.what : `${row.what} (${row.note})`,
    `${figure(row.value)} ${row.unit}`,
    row.baseline === undefined ? "" : `${figure(row.baseline.value)} ${row.baseline.what}`,
    ratio === null ? "" : percent(ratio),
    mark(row, ratio),
  ];
}

function mark(row: Row, ratio: number | null): string {
  if (row.atLeast !== undefined && ratio !== null) {
    return `${ratio >= row.atLeast ? "holds" : "MISSES"}: at least ${percent(row.atLeast)}`;
  }
  if (row.atMost !== undefined)
    return `${row.value <= row.atMost ? "holds" : "MISSES"}: at most ${figure(row.atMost)} ${row.unit}`;
  return "";
}

const percent = (fraction: number) => `${(fraction * 100).toFixed(0)} %`;

function figure(value: number): string {
  return value >= 100 ? Math.round(value).toLocaleString("en-US") : value.toFixed(1);
}

export function median(values: readonly number[]): number {
  const sorted = [...values].sort((a, b) => a - b);
  const middle = sorted.length >> 1;
  const upper = sorted[middle] ?? Number.NaN;
  return sorted.length % 2 === 1 ? upper : ((sorted[middle - 1] ?? Number.NaN) + upper) / 2;
}

/**
 * Measures in turns, baseline first, so that a machine that speeds up or slows down meets both alike. The medians, each with
 * its range printed for the reader.
 */
export async function inTurns(
  rounds: number,
  baseline: () => Promise<number>,
  measured: () => Promise<number>,
): Promise<{ baseline: number; measured: number }> {
  const seen: [number[], number[]] = [[], []];
  for (let round = 0; round < rounds; round++) {
    seen[0].push(await baseline());
    seen[1].push(await measured());
  }
  const list = (values: number[]) => values.map((value) => Math.round(value)).join(", ");
  console.log(`  rounds: baseline ${list(seen[0])} · measured ${list(seen[1])}`);
  return { baseline: median(seen[0]), measured: median(seen[1]) };
}
