import { expect, it } from "vitest";
import { egressOf } from "./egress.ts";

it("what the operator allows is not denied at the same time", () => {
  const { allow, deny } = egressOf(true, ["10.0.0.0/8", "198.18.0.0/15"]);
  expect(allow).toEqual(["public", "10.0.0.0/8", "198.18.0.0/15"]);
  expect(deny).toContain("192.0.2.0/24");
  expect(deny).not.toContain("198.18.0.0/15");
});

it("a developer's machine reaches everything", () => {
  expect(egressOf(false, [])).toEqual({ allow: ["public", "private"], deny: [] });
});
