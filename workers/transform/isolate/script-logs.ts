import type { ScriptLog } from "../../../shared/sandbox-api.ts";

/** A script may log for every event; who reads it wants the first few. */
export const LOGS_PER_BATCH_COUNT = 100;
const TEXT_MAX_CHARS = 500;

const { stringify } = JSON;

/** Who speaks, and about which input. */
interface Speaker {
  running: string;
  index: number;
  redact(text: string): string;
}

/** What scripts said during a batch. */
export class Logs {
  readonly list: ScriptLog[] = [];

  /** Throws what the values' own getters throw, to the script that passed them. */
  add({ running, index, redact }: Speaker, values: readonly unknown[]): void {
    if (this.list.length >= LOGS_PER_BATCH_COUNT) return;
    let text = "";
    for (let i = 0; i < values.length && text.length <= TEXT_MAX_CHARS; i++) {
      const value = values[i];
      text += (i === 0 ? "" : " ") + (typeof value === "string" ? value : (stringify(value) ?? String(value)));
    }
    this.list.push({ script: running, index, text: redact(text).slice(0, TEXT_MAX_CHARS) });
  }
}
