import { bytesOf, paddedWords, rotateLeft } from "./blocks.ts";

const ROUNDS_COUNT = 64;
const START = new Int32Array([0x67452301, 0xefcdab89, 0x98badcfe, 0x10325476]);
const CONSTANTS = Int32Array.from({ length: ROUNDS_COUNT }, (_, i) => (Math.abs(Math.sin(i + 1)) * 2 ** 32) | 0);
const SHIFTS = [
  [7, 12, 17, 22],
  [5, 9, 14, 20],
  [4, 11, 16, 23],
  [6, 10, 15, 21],
];

/** RFC 1321. */
export function md5Bytes(message: Uint8Array): Uint8Array {
  const words = paddedWords(message, true);
  const state = START.slice();
  for (let at = 0; at < words.length; at += 16) mix(state, words, at);
  return bytesOf(state, true);
}

function mix(state: Int32Array, words: Int32Array, at: number): void {
  let [a, b, c, d] = state as unknown as [number, number, number, number];
  for (let i = 0; i < ROUNDS_COUNT; i++) {
    const quarter = i >> 4;
    const word = words[at + placeOf(quarter, i)] as number;
    const sum = (a + chosen(quarter, b, c, d) + (CONSTANTS[i] as number) + word) | 0;
    a = d;
    d = c;
    c = b;
    b = (b + rotateLeft(sum, SHIFTS[quarter]?.[i & 3] as number)) | 0;
  }
  const mixed = [a, b, c, d];
  for (let i = 0; i < 4; i++) state[i] = ((state[i] as number) + (mixed[i] as number)) | 0;
}

function chosen(quarter: number, b: number, c: number, d: number): number {
  if (quarter === 0) return (b & c) | (~b & d);
  if (quarter === 1) return (b & d) | (c & ~d);
  return quarter === 2 ? b ^ c ^ d : c ^ (b | ~d);
}

function placeOf(quarter: number, i: number): number {
  if (quarter === 0) return i;
  if (quarter === 1) return (5 * i + 1) & 15;
  return quarter === 2 ? (3 * i + 5) & 15 : (7 * i) & 15;
}
