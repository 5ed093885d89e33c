import { spawnSync } from "node:child_process";
import { existsSync, readdirSync, readFileSync, readlinkSync, writeFileSync } from "node:fs";

/** A process as the system's table shows it. */
interface ProcessEntry {
  pid: number;
  ppid: number;
  pgid: number;
  /** Dead, and only not yet collected by its parent. */
  zombie: boolean;
}

function processes(): ProcessEntry[] {
  return existsSync("/proc/self/stat") ? fromProc() : fromPs();
}

function fromProc(): ProcessEntry[] {
  const found: ProcessEntry[] = [];
  for (const name of readdirSync("/proc")) {
    const pid = Number(name);
    if (!Number.isInteger(pid)) continue;
    try {
      // "pid (name with anything) state ppid …": the fields start after the last parenthesis.
      const stat = readFileSync(`/proc/${pid}/stat`, "latin1");
      const [state, ppid, pgid] = stat.slice(stat.lastIndexOf(")") + 2).split(" ");
      found.push({ pid, ppid: Number(ppid), pgid: Number(pgid), zombie: state === "Z" });
    } catch {
      // It ended between the listing and the read.
    }
  }
  return found;
}

function fromPs(): ProcessEntry[] {
  const { stdout } = spawnSync("ps", ["-A", "-o", "pid=,ppid=,pgid=,state="], { encoding: "utf8" });
  return stdout
    .trim()
    .split("\n")
    .map((line) => line.trim().split(/\s+/))
    .map(([pid, ppid, pgid, state]) => ({
      ...{ pid: Number(pid), ppid: Number(ppid), pgid: Number(pgid) },
      zombie: (state ?? "").startsWith("Z"),
    }));
}

/** `root`, everything that it started and everything else in the process group that it leads, at this moment; parents first. */
export function processTree(root: number): number[] {
  const all = processes().filter((entry) => !entry.zombie);
  const tree = new Set([root]);
  // A set's iteration meets what is added on the way.
  for (const parent of tree) {
    for (const { pid, ppid, pgid } of all) if (ppid === parent || pgid === root) tree.add(pid);
  }
  return [...tree];
}

/** Those of the processes that still run. */
export function alive(pids: readonly number[]): number[] {
  const running = new Set(
    processes()
      .filter((entry) => !entry.zombie)
      .map((entry) => entry.pid),
  );
  return pids.filter((pid) => running.has(pid));
}

export function signal(pid: number, name: NodeJS.Signals): void {
  try {
    process.kill(pid, name);
  } catch {
    // It is gone already, which is what a kill wants.
  }
}

/** Resident bytes of a process now and at its highest; zeroes once it is gone. Linux only. */
export function memory(pid: number): { residentBytes: number; peakBytes: number } {
  try {
    const status = readFileSync(`/proc/${pid}/status`, "latin1");
    const kib = (field: string) => Number(new RegExp(`^${field}:\\s+(\\d+) kB`, "m").exec(status)?.[1] ?? 0);
    return { residentBytes: kib("VmRSS") * 1024, peakBytes: kib("VmHWM") * 1024 };
  } catch {
    return { residentBytes: 0, peakBytes: 0 };
  }
}

/** Sets the peak of a process to what it has now (proc(5), clear_refs). */
export function resetPeak(pid: number): void {
  writeFileSync(`/proc/${pid}/clear_refs`, "5");
}

export function isWorkerd(pid: number): boolean {
  try {
    return readlinkSync(`/proc/${pid}/exe`).replace(" (deleted)", "").endsWith("/workerd");
  } catch {
    return false;
  }
}
