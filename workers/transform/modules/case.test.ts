import { describe, expect, it } from "vitest";
import { camelCase, constantCase, kebabCase, pascalCase, sentenceCase, snakeCase, titleCase } from "./case.ts";

describe("headwater:case", () => {
  it.each([
    "Order Completed",
    "order_completed",
    "order-completed",
    "orderCompleted",
    "OrderCompleted",
    " order  completed!",
  ])("writes %s in every way", (name) => {
    expect(snakeCase(name)).toBe("order_completed");
    expect(kebabCase(name)).toBe("order-completed");
    expect(constantCase(name)).toBe("ORDER_COMPLETED");
    expect(camelCase(name)).toBe("orderCompleted");
    expect(pascalCase(name)).toBe("OrderCompleted");
    expect(titleCase(name)).toBe("Order Completed");
    expect(sentenceCase(name)).toBe("Order completed");
  });

  it.each([
    ["HTTPServerError", "http_server_error"],
    ["version2Update", "version2_update"],
    ["größeÄndern", "größe_ändern"],
    ["$pageview", "$pageview"],
    ["$setOnce", "$set_once"],
    ["日本語", "日本語"],
    ["", ""],
    ["___", ""],
  ])("finds the words of %s", (name, snake) => {
    expect(snakeCase(name)).toBe(snake);
  });

  it("takes time in proportion to what it reads", () => {
    expect(snakeCase("A".repeat(500_000))).toHaveLength(500_000);
    expect(snakeCase("_".repeat(500_000))).toHaveLength(499_500);
  });
});
