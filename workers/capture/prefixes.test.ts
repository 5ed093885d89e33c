import { describe, expect, it } from "vitest";
import { parsePrefixes, stripPrefix } from "./prefixes.ts";

describe("parsePrefixes", () => {
  it.each<[string | undefined, string[]]>([
    [undefined, []],
    ["", []],
    [" , ", []],
    ["/ingest", ["/ingest"]],
    ["ingest/, /t/x ,/", ["/ingest", "/t/x"]],
    ["/a,/a/b,/a/b/c", ["/a/b/c", "/a/b", "/a"]],
  ])("%j gives %j", (list, prefixes) => {
    expect(parsePrefixes(list)).toEqual(prefixes);
  });

  it.each(["/a b", "/a//b", "/https://x", "/a?b", "/a%2fb"])("refuses %s", (list) => {
    expect(() => parsePrefixes(list)).toThrow(`CAPTURE_PREFIXES: "${list}" is no path such as /ingest`);
  });
});

describe("stripPrefix", () => {
  const prefixes = parsePrefixes("/ingest,/ingest/eu,/t");
  const strip = (path: string) => {
    const { request, prefix } = stripPrefix(new Request(`https://shop.example${path}`), prefixes);
    return [prefix, request.url.slice("https://shop.example".length)];
  };

  it.each([
    ["/ingest/e/", "/ingest", "/e/"],
    ["/ingest/eu/e/?a=%20b", "/ingest/eu", "/e/?a=%20b"],
    ["/ingest", "/ingest", "/"],
    ["/t/p/x%2Fy.gif", "/t", "/p/x%2Fy.gif"],
    ["/e/", "", "/e/"],
    ["/ingestion/e", "", "/ingestion/e"],
    ["/account/ingest/e", "", "/account/ingest/e"],
  ])("%s has the prefix %j and asks for %s", (path, prefix, rest) => {
    expect(strip(path)).toEqual([prefix, rest]);
  });

  it("leaves method, headers and body as they are", async () => {
    const init = { method: "POST", body: "text", headers: { "x-a": "1" } };
    const { request } = stripPrefix(new Request("https://shop.example/t/e", init), prefixes);
    expect([request.method, request.headers.get("x-a"), await request.text()]).toEqual(["POST", "1", "text"]);
  });

  it("gives the very request where there is no prefix", () => {
    const request = new Request("https://shop.example/e");
    expect(stripPrefix(request, []).request).toBe(request);
    expect(stripPrefix(request, prefixes).request).toBe(request);
  });
});
