import { performance } from "node:perf_hooks";
import fc from "fast-check";
import { describe, expect, it } from "vitest";
import { botName, isBot } from "./bot.ts";
import { parseUserAgent, userAgentProperties } from "./user-agent.ts";

const CHROME =
  "Mozilla/5.0 (Windows NT 10.0; Win64; x64) AppleWebKit/537.36 (KHTML, like Gecko) Chrome/126.0.0.0 Safari/537.36";
const IPHONE =
  "Mozilla/5.0 (iPhone; CPU iPhone OS 17_5 like Mac OS X) AppleWebKit/605.1.15 (KHTML, like Gecko) Version/17.5 Mobile/15E148 Safari/604.1";
const IPAD =
  "Mozilla/5.0 (iPad; CPU OS 16_1 like Mac OS X) AppleWebKit/605.1.15 (KHTML, like Gecko) Version/16.1 Mobile/15E148 Safari/604.1";
const GOOGLEBOT = "Mozilla/5.0 (compatible; Googlebot/2.1; +http://www.google.com/bot.html)";

/** Far above what one reading takes, far below what a regular expression takes that tries everything. */
const SLOW_MS = 200;

describe("headwater:user-agent", () => {
  it("reads a desktop browser", () => {
    expect(parseUserAgent(CHROME)).toEqual({
      ...{ browser: "Chrome", browser_version: "126.0.0.0", os: "Windows", os_version: "10" },
      ...{ device_type: "Desktop", engine: "Blink" },
    });
  });

  it("reads phones and tablets", () => {
    expect(parseUserAgent(IPHONE)).toMatchObject({
      os: "iOS",
      os_version: "17.5",
      device_type: "Mobile",
      device: "iPhone",
    });
    expect(parseUserAgent(IPAD)).toMatchObject({ device_type: "Tablet", device_vendor: "Apple" });
  });

  it("gives properties under the names of the web SDK", () => {
    expect(userAgentProperties(CHROME)).toEqual({
      ...{
        $browser: "Chrome",
        $browser_version: "126.0.0.0",
        $os: "Windows",
        $os_version: "10",
        $device_type: "Desktop",
      },
    });
    expect(userAgentProperties(undefined)).toEqual({});
  });

  it("gives each caller an object of its own", () => {
    const first = parseUserAgent(CHROME);
    Object.assign(first as object, { browser: "changed" });
    expect(parseUserAgent(CHROME)?.browser).toBe("Chrome");
  });

  it.each([[""], [null], [undefined], [5], [{}]])("gives null for %s", (userAgent) => {
    expect(parseUserAgent(userAgent)).toBeNull();
  });
});

describe("headwater:bot", () => {
  it("tells bots from people", () => {
    expect([GOOGLEBOT, "curl/8.4.0", "python-requests/2.31"].map(isBot)).toEqual([true, true, true]);
    expect([CHROME, IPHONE, "", null, undefined, 5].map(isBot)).toEqual([false, false, false, false, false, false]);
  });

  it("names the part that gives a bot away", () => {
    expect(botName(GOOGLEBOT)).toMatch(/google|bot/i);
    expect(botName(CHROME)).toBeNull();
    expect(botName(null)).toBeNull();
  });
});

describe("user agents", () => {
  it("cannot be so long or so strange that reading one takes long", () => {
    const piece = fc.constantFrom(
      "Mozilla/5.0 ",
      "(",
      ";",
      " ",
      "a",
      "1",
      ".",
      "/",
      "android",
      "Build/",
      "bot",
      "; sm-",
      "Version/",
    );
    const hostile = fc.array(piece, { minLength: 200, maxLength: 2000 }).map((pieces) => pieces.join(""));
    const repeated = fc.tuple(piece, piece, fc.nat(2000)).map(([a, b, n]) => a + b.repeat(n));
    fc.assert(
      fc.property(fc.oneof(hostile, repeated), (userAgent) => {
        const started = performance.now();
        parseUserAgent(userAgent);
        botName(userAgent);
        expect(performance.now() - started).toBeLessThan(SLOW_MS);
      }),
    );
  });
});
