import { expect, test } from "vitest";
import { FakeClock } from "../../../shared/testing/fake-clock.ts";
import { Refreshed } from "./refreshed.ts";

function rig() {
  const clock = new FakeClock();
  const reads: { resolve(value: string): void; reject(error: Error): void }[] = [];
  const timers: { ms: number; fire(): void }[] = [];
  const logs: string[] = [];
  const value = new Refreshed<string>(
    {
      read: () => {
        const { promise, resolve, reject } = Promise.withResolvers<string>();
        reads.push({ resolve, reject });
        return promise;
      },
      clock,
      timer: (ms) => {
        const { promise, resolve } = Promise.withResolvers<void>();
        timers.push({ ms, fire: resolve });
        return { done: promise, cancel: () => {} };
      },
      log: ({ level, message }) => logs.push(`${level}: ${message}`),
    },
    { name: "the value", refreshMs: 5_000, firstWaitMs: 200 },
  );
  const waited: Promise<unknown>[] = [];
  const get = () => value.get((promise) => waited.push(promise));
  return { clock, reads, timers, logs, get, settle: () => Promise.all(waited) };
}

test("the first requests wait for one read", async () => {
  const { get, reads } = rig();
  const both = [get(), get()];
  expect(reads).toHaveLength(1);
  reads[0]?.resolve("a");
  expect((await Promise.all(both)).map((known) => known?.value)).toEqual(["a", "a"]);
});

test("a first read that takes too long lets its requests go on without", async () => {
  const { get, timers } = rig();
  const first = get();
  expect(timers).toMatchObject([{ ms: 200 }]);
  timers[0]?.fire();
  expect(await first).toBeNull();
});

test("a value that is due is read behind the answer, which has the old one", async () => {
  const { clock, get, reads, settle, timers } = rig();
  const first = get();
  reads[0]?.resolve("old");
  await first;
  clock.advance(4_999);
  await get();
  expect(reads).toHaveLength(1);
  clock.advance(1);
  expect((await get())?.value).toBe("old");
  expect(reads).toHaveLength(2);
  expect(timers).toHaveLength(1);
  reads[1]?.resolve("new");
  await settle();
  expect((await get())?.value).toBe("new");
});

test("reads that fail leave the value, are tried again when due, and are logged once an outage", async () => {
  const { clock, get, logs, reads, settle } = rig();
  const first = get();
  reads[0]?.resolve("kept");
  await first;
  for (const at of [1, 2]) {
    clock.advance(5_000);
    await get();
    reads[at]?.reject(new Error("down"));
    await settle();
  }
  expect((await get())?.value).toBe("kept");
  expect(logs).toEqual(["warn: the value cannot be read: down"]);
  clock.advance(5_000);
  await get();
  reads[3]?.resolve("back");
  await settle();
  expect(logs.at(-1)).toBe("info: the value can be read again");
});

test("a read whose request was ended without a word holds up nobody for longer than the refresh", async () => {
  const { clock, get, reads, settle, timers } = rig();
  const lost = get();
  timers[0]?.fire();
  await lost;
  clock.advance(5_000);
  const next = get();
  expect(reads).toHaveLength(2);
  reads[1]?.resolve("a");
  expect((await next)?.value).toBe("a");
  reads[0]?.resolve("late");
  await settle();
});
