import { randomBytes } from "node:crypto";
import { accessSync, constants, mkdirSync, readFileSync, renameSync, writeFileSync } from "node:fs";
import { join } from "node:path";
import { isAlive, killOrphan, type ProcessMark, processMark } from "./process-table.ts";
import { StartError } from "./start-error.ts";

/** Readable by their owner only. */
const SECRET_MODE = 0o600;

/** The folder of all state: databases, the generated secrets, and the marks of the processes that use it. */
export class DataFolder {
  readonly path: string;

  /** @throws StartError if it cannot be used */
  constructor(path: string) {
    this.path = path;
    try {
      mkdirSync(path, { recursive: true });
      accessSync(path, constants.R_OK | constants.W_OK | constants.X_OK);
      writeFileSync(join(path, ".probe"), "");
    } catch (error) {
      throw new StartError(`the data folder ${path} cannot be used: ${(error as Error).message}`);
    }
  }

  /** A generated secret that stays the same over restarts. */
  secret(name: "admin-token" | "secret-key", bytes: number): string {
    const file = join(this.path, name);
    try {
      return readFileSync(file, "utf8").trim();
    } catch {
      const secret = randomBytes(bytes).toString(name === "secret-key" ? "base64" : "base64url");
      writeFileSync(file, `${secret}\n`, { mode: SECRET_MODE });
      return secret;
    }
  }

  /**
   * Takes the folder for this process: two would corrupt each other's logs. Children that a killed runtime left behind are ended.
   * @throws StartError if a living runtime has it
   */
  async claim(): Promise<void> {
    const file = join(this.path, "processes.json");
    let marks: { runtime: ProcessMark; children: ProcessMark[] } | null = null;
    try {
      marks = JSON.parse(readFileSync(file, "utf8"));
    } catch {
      // None: first start, or the file was cut short by a full disk; then there is nobody to look for.
    }
    if (marks !== null && isAlive(marks.runtime)) {
      throw new StartError(
        `the data folder ${this.path} is in use by process ${marks.runtime.pid}; stop it, or choose another with --data`,
      );
    }
    for (const child of marks?.children ?? []) await killOrphan(child);
    this.remember([]);
  }

  /** Notes the processes that must not outlive this one. */
  remember(children: number[]): void {
    const marks = { runtime: processMark(process.pid), children: children.map(processMark) };
    const file = join(this.path, "processes.json");
    // Whole or not at all: a full disk must not take away what was noted before.
    writeFileSync(`${file}.new`, JSON.stringify(marks));
    renameSync(`${file}.new`, file);
  }
}
