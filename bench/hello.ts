import { type ChildProcess, spawn } from "node:child_process";
import { once } from "node:events";
import { mkdtempSync, rmSync, writeFileSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import workerd from "workerd";

/** Leaves its request unread: a worker that reads it answers a fifth fewer, and the harsher baseline is the honest one. */
const WORKER = `
export default {
  fetch() {
    return new Response('{"status":"Ok"}', { headers: { "content-type": "application/json" } });
  },
};
`;
const CONFIG = `
using Workerd = import "/workerd/workerd.capnp";
const config :Workerd.Config = (
  services = [(name = "main", worker = (
    modules = [(name = "worker.js", esModule = embed "worker.js")],
    compatibilityDate = "2026-10-30",
  ))],
  sockets = [(name = "http", address = "127.0.0.1:0", http = (), service = "main")],
);
`;

/** A hello-world worker on the project's own workerd: what the machine and the runtime can do at most. */
export interface Hello {
  url: string;
  stop(): Promise<void>;
}

export async function startHello(): Promise<Hello> {
  const folder = mkdtempSync(join(tmpdir(), "headwater-hello-"));
  writeFileSync(join(folder, "worker.js"), WORKER);
  writeFileSync(join(folder, "config.capnp"), CONFIG);
  // The control descriptor is how workerd tells which port it got.
  const child = spawn(workerd.default, ["serve", "--control-fd=3", join(folder, "config.capnp")], {
    stdio: ["ignore", "ignore", "inherit", "pipe"],
  });
  const kill = () => child.kill("SIGKILL");
  process.once("exit", kill);
  const port = await listenPort(child);
  return {
    url: `http://127.0.0.1:${port}`,
    stop: async () => {
      process.off("exit", kill);
      const exit = once(child, "exit");
      kill();
      await exit;
      rmSync(folder, { recursive: true });
    },
  };
}

function listenPort(child: ChildProcess): Promise<number> {
  return new Promise((resolve, reject) => {
    let text = "";
    child.once("exit", (code) => reject(new Error(`hello-world workerd ended with ${code}`)));
    child.stdio[3]?.on("data", (chunk) => {
      text += chunk;
      const listen = text.split("\n").find((line) => line.includes('"listen"'));
      if (listen !== undefined) resolve((JSON.parse(listen) as { port: number }).port);
    });
  });
}
