import { createServer, type Server } from "node:net";
import { hostname, networkInterfaces } from "node:os";
import { afterAll, beforeAll, expect, it } from "vitest";
import { anHttpSink, type HttpSink } from "../../workers/deliver/testing/http-sink.ts";
import { type Headwater, imbalance, startExpectingFailure, startHeadwater } from "./headwater.ts";
import { until } from "./wait.ts";

/**
 * The form for production reaches public addresses only. What counts is the address that is connected to, not how it is written: a server
 * that listens on every address of this machine must see nobody.
 */
const TOKEN = "phc_private";
const ADMIN_TOKEN = "a-token-of-the-operator";

const PRIVATE = /^(10|192\.168|172\.(1[6-9]|2\d|3[01])|192\.0\.2)\./;

/** Where this machine itself listens, however it is written. */
const OWN_HOSTS = [
  "127.0.0.1",
  ...["2130706433", "0x7f000001", "0177.0.0.1", "0x7f.0.0.1", "127.1", "127.0.1", "127.0.0.1.", "127.255.255.254"],
  ...[
    "%31%32%37.0.0.1",
    "１２７.０.０.１",
    "127。0。0。1",
    "0.0.0.0",
    "0",
    "localhost",
    "LOCALHOST",
    "localhost.",
    hostname(),
  ],
  ...["[::1]", "[0:0:0:0:0:0:0:1]", "[::]", "[::ffff:127.0.0.1]", "[::ffff:7f00:1]", "[::127.0.0.1]"],
  ...Object.values(networkInterfaces()).flatMap((addresses) =>
    (addresses ?? []).map(({ address }) => address).filter((address) => PRIVATE.test(address)),
  ),
];
/** Private elsewhere: nobody listens, and nothing may leave either. */
const OTHER_HOSTS = [
  ...["169.254.169.254", "[::ffff:169.254.169.254]", "[fd00:ec2::254]", "10.0.0.1", "172.16.0.1", "192.168.0.1"],
  ...["100.64.0.1", "[fd00::1]", "[fc00::1]", "[fe80::1]", "[::ffff:10.0.0.1]", "198.18.0.1", "203.0.113.1"],
  ...["[64:ff9b::a00:1]", "[2002:7f00:1::]", "[2001:db8::1]", "224.0.0.1", "240.0.0.1", "255.255.255.255"],
];

let listener: Server;
let connections = 0;
let port: number;
let redirecting: HttpSink;
let headwater: Headwater;

beforeAll(async () => {
  listener = createServer((socket) => {
    connections++;
    socket.destroy();
  });
  // Of both families where there are two.
  await new Promise<void>((resolve) => listener.listen(0, () => resolve()));
  port = (listener.address() as { port: number }).port;
  const location = `http://127.0.0.1:${port}/`;
  redirecting = await anHttpSink(() => ({ status: 307, headers: { location } }), "127.0.0.9");
  const common = { batch: { max_wait_ms: 0 }, retry: { base_ms: 50, max_delay_ms: 200, max_age_ms: 2_000 } };
  const hosts = [...OWN_HOSTS, ...OTHER_HOSTS];
  const destinations = hosts.map((host, i) => {
    const url = `http://${host}:${port}/`;
    return { id: `host-${i}`, kind: "webhook", url, ...common };
  });
  headwater = await startHeadwater({
    config: {
      teams: [
        { id: "acme", tokens: [TOKEN], destinations },
        {
          id: "other",
          tokens: [`${TOKEN}_other`],
          destinations: [
            { id: "redirect", kind: "webhook", url: redirecting.url, ...common },
            {
              ...{ id: "script", kind: "webhook", url: "https://example.com/", ...common },
              transformation: {
                code: `export const transform = () => ({ url: "http://127.0.0.1:${port}/", body: "x" });`,
              },
            },
            { id: "rest", kind: "kafka", protocol: "strimzi", url: `http://127.1:${port}`, topic: "events", ...common },
          ],
        },
      ],
    },
    env: { HEADWATER_ADMIN_TOKEN: ADMIN_TOKEN },
    // The one that redirects has to be reached.
    args: ["--production", "--allow-private", "127.0.0.9/32"],
  });
});

afterAll(async () => {
  await headwater?.stop();
  await redirecting?.close();
  await new Promise((resolve) => listener.close(resolve));
});

const capture = (token: string) =>
  headwater.send({ api_key: token, batch: [{ event: "tried", distinct_id: "user-1", properties: {} }] });

async function deadOf(team: string, ids: string[]): Promise<Record<string, string>> {
  await until(
    async () => {
      const flow = await headwater.flow(team);
      return ids.every((id) => flow[id]?.dead === 1);
    },
    { timeoutMs: 60_000, everyMs: 250, describe: () => `not all of ${ids.join(", ")} have a dead letter` },
  );
  const flow = await headwater.flow(team);
  for (const id of ids) expect([id, flow[id]!.pending, imbalance(flow[id]!)]).toEqual([id, 0, 0]);
  const letters = await Promise.all(ids.map((id) => headwater.deadLetters(team, id)));
  return Object.fromEntries(ids.map((id, i) => [id, letters[i]?.dead_letters[0]?.reason ?? ""]));
}

it("no way to write a private address is connected to, and every dead letter says why", async () => {
  expect((await capture(TOKEN)).status).toBe(200);
  const hosts = [...OWN_HOSTS, ...OTHER_HOSTS];
  const reasons = await deadOf(
    "acme",
    hosts.map((_, i) => `host-${i}`),
  );
  const silent = hosts.flatMap((host, i) => {
    const reason = reasons[`host-${i}`] as string;
    return reason.includes("--allow-private") ? [] : [`${host}: ${reason}`];
  });
  expect(silent).toEqual([]);
  expect(connections).toBe(0);
});

it("neither a redirect, nor an address that a script gives, nor a Kafka front leads to one", async () => {
  expect((await capture(`${TOKEN}_other`)).status).toBe(200);
  const reasons = await deadOf("other", ["redirect", "script", "rest"]);
  expect(reasons.redirect).toContain("redirect, which is not followed");
  expect(reasons.script).toContain("--allow-private");
  expect(reasons.rest).toContain("--allow-private");
  expect(connections).toBe(0);
});

it("user names and passwords in a url are refused when they are configured", async () => {
  const url = `http://127.0.0.1@example.com:${port}/`;
  const config = {
    teams: [{ id: "acme", tokens: [TOKEN], destinations: [{ id: "hook", kind: "webhook", url }] }],
  };
  const failed = await startExpectingFailure({ config });
  expect(failed.stderr).toContain("must not hold a user name or password");
});
