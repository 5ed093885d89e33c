import { spawn } from "node:child_process";
import { once } from "node:events";
import { createInterface } from "node:readline";
import { expect, it } from "vitest";
import { alive, memory, processTree, signal } from "./process-tree.ts";
import { until } from "./wait.ts";

it("finds children, grandchildren and those that left the group, and sees when they are gone", async () => {
  // The shell prints the pid of a grandchild that has made itself a session of its own.
  const child = spawn("sh", ["-c", "setsid sh -c 'echo $$; exec sleep 60' & sleep 60"], { detached: true });
  const [line] = (await once(createInterface({ input: child.stdout }), "line")) as [string];
  const tree = processTree(child.pid!);
  expect(tree[0]).toBe(child.pid);
  expect(tree).toContain(Number(line));
  expect(alive(tree)).toEqual(tree);
  expect(memory(child.pid!).residentBytes).toBeGreaterThan(0);
  for (const pid of tree) signal(pid, "SIGKILL");
  await until(() => alive(tree).length === 0, { timeoutMs: 5_000, describe: () => `alive: ${alive(tree)}` });
  expect(memory(Number(line)).residentBytes).toBe(0);
});
