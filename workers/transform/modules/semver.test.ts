import { describe, expect, it } from "vitest";
import { compareSemver, parseSemver, semverProperties } from "./semver.ts";

describe("headwater:semver", () => {
  it.each([
    ["1.2.3", { major: 1, minor: 2, patch: 3, prerelease: null, build: null }],
    ["v1.2.3-beta.1+build.5", { major: 1, minor: 2, patch: 3, prerelease: "beta.1", build: "build.5" }],
    [" 22.04 ", { major: 22, minor: 4, patch: 0, prerelease: null, build: null }],
    ["7", { major: 7, minor: 0, patch: 0, prerelease: null, build: null }],
    ["1.2.3.4", null],
    ["latest", null],
    ["", null],
    [null, null],
    [5, null],
    [`1.0.0-${"a".repeat(300)}`, null],
  ])("reads %s", (version, parsed) => {
    expect(parseSemver(version)).toEqual(parsed);
  });

  it("orders versions as the specification does", () => {
    const ordered =
      "1.0.0-alpha 1.0.0-alpha.1 1.0.0-alpha.beta 1.0.0-beta 1.0.0-beta.2 1.0.0-beta.11 1.0.0-rc.1 1.0.0 1.0.2 1.1 2.0.0 10.0.0";
    const versions = ordered.split(" ");
    expect([...versions].reverse().sort(compareSemver)).toEqual(versions);
    expect(compareSemver("1.0.0+a", "v1.0.0+b")).toBe(0);
    expect(compareSemver("1.0.0", "x")).toBeNaN();
  });

  it("makes properties of a version", () => {
    expect(semverProperties("app_version", "1.2.3-rc.1+7")).toEqual({
      app_version__major: 1,
      app_version__minor: 2,
      app_version__patch: 3,
      app_version__preRelease: "rc.1",
      app_version__build: "7",
    });
    expect(semverProperties("app_version", "nightly")).toEqual({});
  });
});
