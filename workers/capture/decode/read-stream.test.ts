import { describe, expect, it } from "vitest";
import { readStream } from "./read-stream.ts";

/** A body as the runtime hands it out, in pieces. */
function aStream(content: Uint8Array, pieceBytes: number) {
  const state = { cancelled: false };
  let at = 0;
  const stream = new ReadableStream({
    type: "bytes",
    pull(controller) {
      if (at >= content.length) {
        controller.close();
        controller.byobRequest?.respond(0);
        return;
      }
      controller.enqueue(content.slice(at, at + pieceBytes));
      at += pieceBytes;
    },
    cancel() {
      state.cancelled = true;
    },
  }) as ReadableStream<Uint8Array>;
  return { stream, state };
}

const content = (length: number) => Uint8Array.from({ length }, (_, at) => (at * 31) % 251);
const MAX_BYTES = 1_000_000;

describe("readStream", () => {
  it.each<[string, number, number | null]>([
    ["nothing", 0, null],
    ["nothing, where something was declared", 0, 500],
    ["a body of unknown length", 700_001, null],
    ["a body of the declared length", 700_001, 700_001],
    ["a body that is longer than declared", 700_001, 1],
    ["a body that is shorter than declared", 5, 900_000],
    ["a body as long as may be", MAX_BYTES, null],
    ["a body as long as may be and declared", MAX_BYTES, MAX_BYTES],
  ])("reads %s whole", async (_what, length, expectedBytes) => {
    for (const pieceBytes of [MAX_BYTES * 2, 65_536, 4_099]) {
      const { stream } = aStream(content(length), pieceBytes);
      const read = await readStream(stream, expectedBytes, MAX_BYTES, MAX_BYTES * 2);
      expect(Buffer.compare(read ?? Buffer.from("none"), content(length))).toBe(0);
    }
  });

  it.each([null, 1, MAX_BYTES, MAX_BYTES + 1, MAX_BYTES * 2])(
    "reads a body that is a byte too long to its end, %j being declared, and keeps nothing",
    async (expectedBytes) => {
      const { stream, state } = aStream(content(MAX_BYTES + 1), 65_536);
      expect(await readStream(stream, expectedBytes, MAX_BYTES, MAX_BYTES * 2)).toBeNull();
      expect(state.cancelled).toBe(false);
    },
  );

  it("stops reading a body that goes on and on", async () => {
    const { stream, state } = aStream(content(MAX_BYTES * 3), 65_536);
    expect(await readStream(stream, null, MAX_BYTES, MAX_BYTES * 2)).toBeNull();
    expect(state.cancelled).toBe(true);
  });
});
