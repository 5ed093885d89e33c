import { expect, it } from "vitest";
import { laneName, unresolvedLaneName, unresolvedToken } from "./lane-name.ts";

it.each(["phc_acme", "key-id:key-secret", ":", "?a:b:0", "weird:local:1"])(
  "the lane of the unresolved token %s names that token and no other",
  (token) => {
    for (const region of ["local", "weur"]) expect(unresolvedToken(unresolvedLaneName(token, region))).toBe(token);
  },
);

it("a team's lane names no token", () => {
  expect(unresolvedToken(laneName("acme", "weur", 4, "user-1"))).toBeNull();
});
