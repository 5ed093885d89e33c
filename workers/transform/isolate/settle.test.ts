import { describe, expect, it } from "vitest";
import { settled } from "./settle.ts";

/** A task after every microtask that is due, and how often it was asked for. */
function idling() {
  const asked = { count: 0 };
  const idle = () => {
    asked.count++;
    return new Promise<void>((resolve) => setTimeout(resolve, 0));
  };
  return { asked, idle };
}

async function hops(count: number, value: unknown): Promise<unknown> {
  for (let i = 0; i < count; i++) await undefined;
  return value;
}

describe("what a script returned", () => {
  it.each([null, undefined, 3, "x", { a: 1 }, [1]])("is itself where it is no promise: %j", async (value) => {
    const { asked, idle } = idling();
    expect(await settled(value, idle)).toBe(value);
    expect(asked.count).toBe(0);
  });

  it("is waited for as long as microtasks lead to it, and no task for what takes few of them", async () => {
    const { asked, idle } = idling();
    expect(await settled(hops(5, "near"), idle)).toBe("near");
    expect(asked.count).toBe(0);
    expect(await settled(hops(5_000, "far"), idle)).toBe("far");
    expect(asked.count).toBe(1);
  });

  it("may be any thenable, and one that leads to another", async () => {
    const { idle } = idling();
    // biome-ignore lint/suspicious/noThenProperty: scripts return such objects.
    const thenable = { then: (resolve: (value: unknown) => void) => resolve(hops(2, "there")) };
    expect(await settled(thenable, idle)).toBe("there");
  });

  it("throws what it rejects with, also nothing", async () => {
    const { idle } = idling();
    await expect(settled(Promise.reject(new Error("no")), idle)).rejects.toThrow("no");
    await expect(settled(Promise.reject(undefined), idle)).rejects.toBeUndefined();
  });

  it("is refused where it never settles", async () => {
    const { idle } = idling();
    await expect(settled(new Promise(() => undefined), idle)).rejects.toThrow(
      "returned a promise that never resolves: there is nothing here to wait for",
    );
  });
});
