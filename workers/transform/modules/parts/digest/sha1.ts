import { bytesOf, paddedWords, rotateLeft } from "./blocks.ts";

const ROUNDS_COUNT = 80;
const START = new Int32Array([0x67452301, 0xefcdab89, 0x98badcfe, 0x10325476, 0xc3d2e1f0]);
const CONSTANTS = [0x5a827999, 0x6ed9eba1, 0x8f1bbcdc, 0xca62c1d6];
const schedule = new Int32Array(ROUNDS_COUNT);

/** FIPS 180-4. */
export function sha1Bytes(message: Uint8Array): Uint8Array {
  const words = paddedWords(message, false);
  const state = START.slice();
  for (let at = 0; at < words.length; at += 16) {
    for (let i = 0; i < ROUNDS_COUNT; i++) {
      schedule[i] = i < 16 ? (words[at + i] as number) : rotateLeft(earlier(i), 1);
    }
    mix(state);
  }
  return bytesOf(state, false);
}

function earlier(i: number): number {
  return (
    (schedule[i - 3] as number) ^
    (schedule[i - 8] as number) ^
    (schedule[i - 14] as number) ^
    (schedule[i - 16] as number)
  );
}

function mix(state: Int32Array): void {
  let [a, b, c, d, e] = state as unknown as [number, number, number, number, number];
  for (let i = 0; i < ROUNDS_COUNT; i++) {
    const quarter = Math.floor(i / 20);
    const chosen = quarter === 0 ? (b & c) | (~b & d) : quarter === 2 ? (b & c) | (b & d) | (c & d) : b ^ c ^ d;
    const next = (rotateLeft(a, 5) + chosen + e + (CONSTANTS[quarter] as number) + (schedule[i] as number)) | 0;
    e = d;
    d = c;
    c = rotateLeft(b, 30);
    b = a;
    a = next;
  }
  const mixed = [a, b, c, d, e];
  for (let i = 0; i < 5; i++) state[i] = ((state[i] as number) + (mixed[i] as number)) | 0;
}
