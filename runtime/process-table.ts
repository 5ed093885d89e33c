import { execFileSync } from "node:child_process";
import { readdirSync, readFileSync } from "node:fs";
import { setTimeout as sleep } from "node:timers/promises";

/** A process that a later one can recognise: pids are used again, a pid with its start is not. */
export interface ProcessMark {
  pid: number;
  /** As the system tells it; empty where it does not. */
  started: string;
}

export function processMark(pid: number): ProcessMark {
  return { pid, started: startOf(pid) ?? "" };
}

export function isAlive(mark: ProcessMark): boolean {
  return startOf(mark.pid) === mark.started && mark.started !== "";
}

/** Ends what an earlier runtime left running, and waits until it is gone. */
export async function killOrphan(mark: ProcessMark): Promise<void> {
  if (!isAlive(mark)) return;
  process.kill(mark.pid, "SIGKILL");
  while (isAlive(mark)) await sleep(10);
}

/** Pids of this process's children that run the named program. */
export function childrenNamed(name: string): number[] {
  if (process.platform === "linux") {
    return readdirSync("/proc")
      .filter((entry) => /^\d+$/.test(entry))
      .map(Number)
      .filter((pid) => {
        const stat = statOf(pid);
        return stat !== null && stat.command === name && Number(stat.fields[1]) === process.pid;
      });
  }
  const lines = execFileSync("ps", ["-A", "-o", "pid=,ppid=,comm="], { encoding: "utf8" }).split("\n");
  return lines
    .map((line) => line.trim().split(/\s+/))
    .filter(([, ppid, command]) => Number(ppid) === process.pid && (command ?? "").endsWith(name))
    .map(([pid]) => Number(pid));
}

/** When the process started, in the system's own unit; null if there is none. A zombie counts as gone. */
function startOf(pid: number): string | null {
  if (process.platform === "linux") {
    const stat = statOf(pid);
    return stat === null || stat.fields[0] === "Z" ? null : (stat.fields[19] ?? null);
  }
  try {
    return execFileSync("ps", ["-o", "lstart=", "-p", String(pid)], { encoding: "utf8" }).trim() || null;
  } catch {
    return null;
  }
}

/** /proc/<pid>/stat: the command, which may hold spaces and parentheses, and the fields behind it, from the state on. */
function statOf(pid: number): { command: string; fields: string[] } | null {
  try {
    const text = readFileSync(`/proc/${pid}/stat`, "utf8");
    const end = text.lastIndexOf(")");
    return { command: text.slice(text.indexOf("(") + 1, end), fields: text.slice(end + 2).split(" ") };
  } catch {
    return null;
  }
}
