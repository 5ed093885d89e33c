import { expect, it } from "vitest";
import { encodeLines } from "../../shared/ndjson.ts";
import type { BundleUpload } from "../../shared/sandbox-api.ts";
import type { Bundle } from "../../shared/snapshot.ts";
import { runInSandbox } from "./sandbox-client.ts";

const script = { module: "m.js", inputs: {}, on_error: "pass" as const };
const BUNDLE: Bundle = {
  hash: "b1",
  team: "acme",
  scripts: [
    { ...script, id: "scrub", credentials: { api: "sealed api", other: "sealed other" } },
    { ...script, id: "plain" },
  ],
  shapers: { hook: { ...script, id: "destination:hook", credentials: { key: "sealed key" } } },
  filters: {},
  modules: {},
};
const OPTIONS = { careful: false, skip: [], fail: [] };
const RESULT = { sources: null, dropped: [], matches: {}, errors: [] };

/** A sandbox that knows what was put. */
function aSandbox() {
  const uploads: BundleUpload[] = [];
  const handle: typeof fetch = async (input, init) => {
    if (init?.method === "PUT") {
      uploads.push(JSON.parse(String(init.body)) as BundleUpload);
      return new Response(null, { status: 204 });
    }
    if (uploads.length === 0) return new Response("bundle_missing", { status: 404 });
    expect(String(input)).toBe("http://sandbox/run/b1");
    return new Response(`${JSON.stringify(RESULT)}\nevent`);
  };
  return { uploads, fetch: handle };
}

it("hands a bundle over with its scripts' secrets opened, and opens none for a sandbox that knows it (invariant 8)", async () => {
  const sandbox = aSandbox();
  const opened: string[] = [];
  const open = async (sealed: string) => {
    opened.push(sealed);
    return sealed.replace("sealed ", "");
  };
  for (let i = 0; i < 2; i++) {
    expect(await runInSandbox(sandbox, BUNDLE, encodeLines(["event"]), OPTIONS, open)).toMatchObject({
      outcome: "ran",
    });
  }
  const credentials = { scrub: { api: "api", other: "other" }, "destination:hook": { key: "key" } };
  expect(sandbox.uploads).toEqual([{ bundle: BUNDLE, credentials }]);
  expect(opened).toHaveLength(3);
});

it("says that a credential cannot be opened, and puts nothing", async () => {
  const sandbox = aSandbox();
  const open = () => Promise.reject(new Error("SECRET_KEY has changed"));
  const message = "a credential of theirs cannot be opened: SECRET_KEY has changed";
  expect(await runInSandbox(sandbox, BUNDLE, encodeLines(["event"]), OPTIONS, open)).toEqual({
    outcome: "broken",
    message,
  });
  expect(sandbox.uploads).toEqual([]);
});
