import { spawnSync } from "node:child_process";
import { once } from "node:events";
import { writeFileSync } from "node:fs";
import { connect, createServer } from "node:net";
import { join } from "node:path";
import { afterEach, describe, expect, it } from "vitest";
import { freshFolder, type Headwater, startExpectingFailure, startHeadwater } from "./headwater.ts";
import { sleep, until } from "./wait.ts";
import { startWebhookSink } from "./webhook-sink.ts";

const TEAM = { id: "acme", tokens: ["phc_acme"], destinations: [] };
const CONFIG = { teams: [TEAM] };
/** The contract's bound for SIGTERM. */
const STOP_MS = 10_000;

let headwater: Headwater | undefined;
afterEach(async () => {
  await headwater?.stop();
  headwater = undefined;
});

describe("a start that cannot succeed says why in one line and exits with 1", () => {
  const expectOneLine = (failed: { code: number | null; stdout: string; stderr: string }, named: string) => {
    expect(failed.code).toBe(1);
    expect(failed.stdout).toBe("");
    const lines = failed.stderr.trim().split("\n");
    expect(lines).toHaveLength(1);
    expect(lines[0]).toContain(named);
  };

  it("a busy port", async () => {
    const other = createServer().listen(0, "127.0.0.1");
    await once(other, "listening");
    const { port } = other.address() as { port: number };
    expectOneLine(await startExpectingFailure({ config: CONFIG, port }), `${port}`);
    expectOneLine(await startExpectingFailure({ config: CONFIG, consolePort: port }), `${port}`);
    other.close();
  });

  it.each([
    ["text that is not JSON", '{\n  "teams": [,]\n}', "headwater.json:2"],
    [
      "a destination of an unknown kind",
      { teams: [{ ...TEAM, destinations: [{ id: "d", kind: "pigeon" }] }] },
      "teams[0].destinations[0].kind",
    ],
    ["a key that does not exist", { teams: [{ ...TEAM, colour: "red" }] }, "colour"],
    [
      "a secret that is not in the environment",
      {
        teams: [
          {
            ...TEAM,
            destinations: [{ id: "d", kind: "webhook", url: "http://127.0.0.1:1/", signing_secret: "env:NOT_SET" }],
          },
        ],
      },
      "NOT_SET",
    ],
    [
      "a script that does not compile",
      { teams: [{ ...TEAM, transformations: [{ id: "broken", code: "export function transform(" }] }] },
      "teams[0].transformations[0]",
    ],
  ])("%s", async (_, config, named) => {
    expectOneLine(await startExpectingFailure({ config }), named);
  });

  it("a data folder that is not a folder", async () => {
    const dataDir = join(freshFolder(), "file");
    writeFileSync(dataDir, "");
    expectOneLine(await startExpectingFailure({ config: CONFIG, dataDir }), dataDir);
  });

  it("a data folder that another Headwater uses", async () => {
    headwater = await startHeadwater({ config: CONFIG });
    expectOneLine(await startExpectingFailure({ config: CONFIG, dataDir: headwater.dataDir }), headwater.dataDir);
  });
});

describe("a running Headwater", () => {
  it("answers an unknown token 401 with a text that says so, and a known one 200", async () => {
    headwater = await startHeadwater({ config: CONFIG });
    const batch = [{ event: "e", distinct_id: "u" }];
    const unknown = await headwater.send({ api_key: "phc_nobody", batch });
    expect(unknown.status).toBe(401);
    expect(await unknown.text()).toMatch(/token|key/i);
    const known = await headwater.send({ api_key: "phc_acme", batch });
    expect(known.status).toBe(200);
    expect(await known.json()).toMatchObject({ status: "Ok" });
    expect((await fetch(headwater.capture)).status).toBe(200);
  });

  it("refuses the admin API without its token", async () => {
    headwater = await startHeadwater({ config: CONFIG });
    for (const path of ["/api/teams/acme/flow", "/api/config", "/metrics"]) {
      expect((await fetch(new URL(path, headwater.console))).status).toBe(401);
    }
    await expect(headwater.flow("acme")).resolves.toEqual({});
  });

  it("on SIGTERM answers the request that is under way, exits with 0 in time, and keeps the event for the next start", async () => {
    const sink = await startWebhookSink();
    const destinations = [{ id: "hook", kind: "webhook", url: sink.url }];
    headwater = await startHeadwater({ config: { teams: [{ ...TEAM, destinations }] } });
    sink.behave({ kind: "status", status: 503 });
    const body = JSON.stringify({ api_key: "phc_acme", batch: [{ event: "late", distinct_id: "u" }] });
    const { hostname, port, host } = new URL(headwater.capture);
    const socket = connect(Number(port), hostname);
    let answer = "";
    socket.on("data", (chunk) => {
      answer += chunk;
    });
    socket.on("error", () => {});
    const half = body.length >> 1;
    socket.write(
      `POST /batch/ HTTP/1.1\r\nHost: ${host}\r\nContent-Type: application/json\r\nContent-Length: ${body.length}\r\n\r\n${body.slice(0, half)}`,
    );
    await sleep(300);
    const stopped = headwater.stop();
    await sleep(300);
    socket.write(body.slice(half));
    const { code, tookMs } = await stopped;
    socket.destroy();
    expect(answer).toMatch(/^HTTP\/1\.1 200 /);
    expect(code).toBe(0);
    expect(tookMs).toBeLessThan(STOP_MS);

    sink.behave({ kind: "ok" });
    await headwater.restart();
    await sink.received(1);
    expect(sink.accepted[0]?.events[0]).toMatchObject({ event: "late", distinct_id: "u" });
    await sink.stop();
  });

  it("refuses new connections while it stops, and ends although a client keeps its connection open", async () => {
    headwater = await startHeadwater({ config: CONFIG });
    const { hostname, port } = new URL(headwater.capture);
    const idle = connect(Number(port), hostname);
    await once(idle, "connect");
    const { code, tookMs } = await headwater.stop();
    idle.destroy();
    expect(code).toBe(0);
    expect(tookMs).toBeLessThan(STOP_MS);
  });
});

it("the first start writes an example configuration and prints a curl line that works when pasted", async () => {
  headwater = await startHeadwater({ config: null, cwd: freshFolder() });
  const line = await until(() => headwater?.output.split("\n").find((text) => text.trim().startsWith("curl ")), {
    timeoutMs: 5_000,
    describe: () => `without a curl line: ${headwater?.output}`,
  });
  const pasted = spawnSync("sh", ["-c", line], { encoding: "utf8" });
  if (pasted.stderr.includes("not found")) throw new Error("this test needs curl");
  expect(JSON.parse(pasted.stdout)).toMatchObject({ status: "Ok" });
  await until(() => headwater?.output.includes("signup"), {
    timeoutMs: 10_000,
    describe: () => `no delivery: ${headwater?.output}`,
  });
});
