import { ErrorBook } from "./error-book.ts";
import { Logs } from "./script-logs.ts";

/** What runs in the isolate at this moment, and what has been written down about the batch so far. */
export class Journal {
  errors = new ErrorBook();
  logs = new Logs();
  /** Of the input that is looked at. */
  index = 0;
  /** Id of the script that runs, or ran last. */
  running = "";
  /** Takes the team's credentials out of a text. */
  readonly redact: (text: string) => string;

  constructor(redact: (text: string) => string) {
    this.redact = redact;
  }

  /** Turns to a new page. */
  begin(): void {
    this.errors = new ErrorBook();
    this.logs = new Logs();
    this.index = 0;
  }

  /** `ctx.log`, also for `console`. */
  readonly log = (...values: unknown[]): void => this.logs.add(this, values);
}
