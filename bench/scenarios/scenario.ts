import type { Row } from "../report.ts";

/** One measurement that starts what it needs, and stops it. */
export interface Scenario {
  name: string;
  /** What is measured against what, for `--list` and the log. */
  about: string;
  run(): Promise<Row[]>;
}
