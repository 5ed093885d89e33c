import fc from "fast-check";
import { describe, expect, it } from "vitest";
import { RecentUuids } from "./recent-uuids.ts";

const uuid = (n: number) => {
  const bytes = new Uint8Array(16);
  new DataView(bytes.buffer).setUint32(12, n);
  return bytes;
};

describe("RecentUuids", () => {
  it("knows a uuid again and forgets the oldest when full", () => {
    const recent = new RecentUuids(2, 1);
    expect([recent.add(uuid(1), 0), recent.add(uuid(2), 0), recent.add(uuid(1), 0)]).toEqual([true, true, false]);
    expect(recent.add(uuid(3), 0)).toBe(true);
    expect(recent.add(uuid(2), 0)).toBe(false);
    expect(recent.add(uuid(1), 0)).toBe(true);
  });

  it("agrees with a list of the newest uuids, whatever comes", () => {
    fc.assert(
      fc.property(
        fc.integer({ min: 1, max: 9 }),
        fc.integer(),
        fc.array(fc.oneof(fc.nat(14), fc.constant("undo" as const)), { maxLength: 200 }),
        (capacity, seed, actions) => {
          const recent = new RecentUuids(capacity, seed);
          let model: number[] = [];
          for (const action of actions) {
            if (action === "undo") {
              // Undo is for the append that was just refused: it never reaches past what is remembered.
              const count = Math.min(1, model.length);
              recent.removeNewest(count);
              model = model.slice(0, model.length - count);
            } else {
              expect(recent.add(uuid(action), 0)).toBe(!model.includes(action));
              if (!model.includes(action)) model = [...model, action].slice(-capacity);
            }
            expect(recent.size).toBe(model.length);
          }
        },
      ),
    );
  });
});
