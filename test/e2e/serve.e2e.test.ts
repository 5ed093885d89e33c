import { connect } from "node:net";
import { afterEach, describe, expect, it } from "vitest";
import { type Headwater, startExpectingFailure, startHeadwater } from "./headwater.ts";
import { until } from "./wait.ts";
import { startWebhookSink, type WebhookSink } from "./webhook-sink.ts";

const TOKEN = "phc_serve";
const WAIT = { timeoutMs: 20_000, describe: () => "the event is neither delivered nor dead" };
const ADMIN_TOKEN = "a-token-of-the-operator";

describe("npm run serve, the form for production", () => {
  let headwater: Headwater | undefined;
  let sink: WebhookSink | undefined;

  afterEach(async () => {
    await headwater?.stop();
    await sink?.stop();
    [headwater, sink] = [undefined, undefined];
  });

  const configOf = (url: string) => ({
    teams: [
      {
        id: "acme",
        tokens: [TOKEN],
        destinations: [{ id: "hook", kind: "webhook", url, batch: { max_wait_ms: 0 }, retry: { max_age_ms: 2_000 } }],
      },
    ],
  });

  const capture = (event: string) =>
    fetch(`${headwater?.capture}/i/v0/e`, {
      method: "POST",
      body: JSON.stringify({ api_key: TOKEN, event, distinct_id: "user-1" }),
    });

  it("does not start without an admin token of the operator's", async () => {
    const failed = await startExpectingFailure({ config: configOf("https://example.com"), args: ["--production"] });
    expect(failed).toMatchObject({ code: 1, stdout: "" });
    expect(failed.stderr.trim().split("\n")).toEqual([expect.stringContaining("HEADWATER_ADMIN_TOKEN must be set")]);
  });

  it("does not start without its configuration", async () => {
    const env = { HEADWATER_ADMIN_TOKEN: ADMIN_TOKEN, HEADWATER_CONFIG: "/nonexistent/headwater.json" };
    const failed = await startExpectingFailure({ config: null, env, args: ["--production"] });
    expect(failed).toMatchObject({ code: 1, stdout: "" });
    expect(failed.stderr).toContain("/nonexistent/headwater.json");
  });

  it("sends nothing to a private address: the events end as dead letters that say so", async () => {
    sink = await startWebhookSink();
    headwater = await startHeadwater({
      config: configOf(sink.url),
      env: { HEADWATER_ADMIN_TOKEN: ADMIN_TOKEN },
      args: ["--production"],
    });
    expect((await capture("refused")).status).toBe(200);
    const book = await until(async () => {
      const flow = await headwater?.flow("acme");
      const hook = flow?.hook;
      return hook?.dead === 1 ? hook : null;
    }, WAIT);
    expect(book).toMatchObject({ accepted: 1, dead: 1, pending: 0 });
    expect(sink.deliveries).toHaveLength(0);
  });

  it("sends to a private range that the operator has allowed", async () => {
    sink = await startWebhookSink();
    headwater = await startHeadwater({
      config: configOf(sink.url),
      env: { HEADWATER_ADMIN_TOKEN: ADMIN_TOKEN },
      args: ["--production", "--allow-private", "127.0.0.0/8"],
    });
    expect((await capture("allowed")).status).toBe(200);
    await until(() => (sink?.deliveries.length === 1 ? true : null), WAIT);
  });

  it("its ports speak HTTP only: nobody reaches a worker past it", async () => {
    headwater = await startHeadwater({
      config: configOf("https://example.com"),
      args: ["--production"],
      env: { HEADWATER_ADMIN_TOKEN: ADMIN_TOKEN },
    });
    for (const port of [new URL(headwater.capture).port, new URL(headwater.console).port]) {
      // The host that Miniflare's own sockets give a Cap'n Proto connection to the worker for.
      const answer = await firstLine(Number(port), "CONNECT miniflare-unsafe-internal-capnp-connect HTTP/1.1");
      expect(answer).toMatch(/^HTTP\/1\.1 [45]/);
    }
  });
});

/** The first line of the answer to a request line, sent as it is. */
function firstLine(port: number, line: string): Promise<string> {
  return new Promise((resolve, reject) => {
    const socket = connect(port, "127.0.0.1", () => socket.write(`${line}\r\nhost: x\r\n\r\n`));
    socket.on("error", reject);
    socket.once("data", (data) => {
      socket.destroy();
      resolve(data.toString("latin1").split("\r\n", 1)[0] ?? "");
    });
  });
}
