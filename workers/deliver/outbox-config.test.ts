import { expect, test } from "vitest";
import type { DestinationSnapshot, TeamSnapshot } from "../../shared/snapshot.ts";
import { loadDestination } from "./outbox-config.ts";
import { Vault } from "./vault.ts";

const vault = Vault.fromBase64(btoa("k".repeat(32)));

function load(destinations: DestinationSnapshot[], secrets: Record<string, string> = {}) {
  const snapshot: TeamSnapshot = { team: "acme", version: 1, lanes: 1, tokens: [], bundle: null, destinations };
  const sealedSecrets = async () =>
    Promise.all(Object.entries(secrets).map(async ([field, text]) => ({ field, sealed: await vault.seal(text) })));
  return loadDestination({ snapshots: { team: async () => snapshot }, sealedSecrets, vault }, "acme", "out");
}

test("settings come back with their secrets opened and defaults filled in", async () => {
  const settings = { protocol: "upstash", url: "https://k.test", topic: "t", batch: { max_events: 5 } };
  const loaded = await load([{ id: "out", kind: "kafka", settings }], {
    "auth.username": "user",
    "auth.password": "p@ss word",
  });
  expect(loaded).toMatchObject({
    state: "ready",
    settings: { auth: { username: "user", password: "p@ss word" }, batch: { max_events: 5, max_wait_ms: 100 } },
  });
  if (loaded.state !== "ready") throw new Error(loaded.reason);
  expect(loaded.secrets).toEqual(expect.arrayContaining(["p@ss word", "p%40ss%20word", btoa("user:p@ss word")]));
});

test("parsed settings parse again to the same", async () => {
  const { webhook } = await import("./destinations/webhook.ts");
  const once = webhook.settings.parse({ url: "https://a.test" });
  expect(webhook.settings.parse(structuredClone(once))).toEqual(once);
});

test("a destination that is not configured any more is told from one that cannot be used", async () => {
  expect(await load([])).toMatchObject({ state: "gone" });
  expect(await load([{ id: "out", kind: "fax", settings: {} }])).toMatchObject({
    state: "unusable",
    reason: 'destination kind "fax" is not known to this version',
  });
  const unusable = await load([{ id: "out", kind: "webhook", settings: { url: "ftp://a.test" } }]);
  expect(unusable).toMatchObject({
    state: "unusable",
    reason: expect.stringContaining("url: must be an http or https URL"),
  });
});

test("a changed secret changes the fingerprint", async () => {
  const entry = { id: "out", kind: "webhook", settings: { url: "https://a.test" } };
  const [one, two] = [await load([entry], { authorization: "a" }), await load([entry], { authorization: "b" })];
  expect(one.fingerprint).not.toBe(two.fingerprint);
});

test("a secret that cannot be opened is an error of the moment, not of the settings", async () => {
  const entry = { id: "out", kind: "webhook", settings: { url: "https://a.test" } };
  const snapshot: TeamSnapshot = {
    team: "acme",
    version: 1,
    lanes: 1,
    tokens: [],
    bundle: null,
    destinations: [entry],
  };
  const deps = {
    snapshots: { team: async () => snapshot },
    sealedSecrets: async () => [{ field: "signing_secret", sealed: "v1.AAAA" }],
    vault,
  };
  await expect(loadDestination(deps, "acme", "out")).rejects.toThrow("SECRET_KEY has changed");
});

test("credentials of the destination's script are cut out of answers like its secrets (invariant 8)", async () => {
  const script = { id: "destination:out", module: "m.js", on_error: "drop" as const, inputs: {} };
  const credentials = { key: await vault.seal("script-key") };
  const bundle = {
    ...{ hash: "h", team: "acme", scripts: [], filters: {}, modules: {} },
    shapers: { out: { ...script, credentials }, other: { ...script, credentials: { key: "not opened" } } },
  };
  const destinations = [{ id: "out", kind: "webhook", settings: { url: "https://a.test" } }];
  const snapshot: TeamSnapshot = { team: "acme", version: 1, lanes: 1, tokens: [], bundle, destinations };
  const deps = { snapshots: { team: async () => snapshot }, sealedSecrets: async () => [], vault };
  expect(await loadDestination(deps, "acme", "out")).toMatchObject({ state: "ready", secrets: ["script-key"] });
});
