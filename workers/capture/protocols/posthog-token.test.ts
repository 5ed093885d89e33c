import { describe, expect, it } from "vitest";
import { InvalidTokenError } from "../errors.ts";
import { checkedToken } from "./posthog-token.ts";

describe("checkedToken", () => {
  it.each([
    ["phc_acme", "phc_acme"],
    ["  phc_acme\n", "phc_acme"],
    ["x".repeat(64), "x".repeat(64)],
  ])("takes %j as %j", (given, token) => {
    expect(checkedToken(given)).toBe(token);
  });

  it.each([
    ["", "empty"],
    [" \t ", "empty"],
    ["x".repeat(65), "too_long"],
    ["phc_ä", "not_ascii"],
    ["phx_secret", "personal_api_key"],
    ["phc_\0x", "null_byte"],
  ])("refuses %j: %s", (given, reason) => {
    expect(() => checkedToken(given)).toThrow(new InvalidTokenError(reason as "empty"));
  });
});
