import { bytesOf, paddedWords, rotateLeft } from "./blocks.ts";

const ROUNDS_COUNT = 64;

const START = new Int32Array(primes(8).map((prime) => fraction(Math.sqrt(prime))));
const CONSTANTS = new Int32Array(primes(ROUNDS_COUNT).map((prime) => fraction(Math.cbrt(prime))));
const schedule = new Int32Array(ROUNDS_COUNT);

/** FIPS 180-4. */
export function sha256Bytes(message: Uint8Array): Uint8Array {
  const words = paddedWords(message, false);
  const state = START.slice();
  for (let at = 0; at < words.length; at += 16) {
    fillSchedule(words, at);
    mix(state);
  }
  return bytesOf(state, false);
}

function fillSchedule(words: Int32Array, at: number): void {
  for (let i = 0; i < 16; i++) schedule[i] = words[at + i] as number;
  for (let i = 16; i < ROUNDS_COUNT; i++) {
    const a = schedule[i - 15] as number;
    const b = schedule[i - 2] as number;
    const s0 = rotateLeft(a, 25) ^ rotateLeft(a, 14) ^ (a >>> 3);
    const s1 = rotateLeft(b, 15) ^ rotateLeft(b, 13) ^ (b >>> 10);
    schedule[i] = ((schedule[i - 16] as number) + s0 + (schedule[i - 7] as number) + s1) | 0;
  }
}

function mix(state: Int32Array): void {
  let [a, b, c, d, e, f, g, h] = state as unknown as [number, number, number, number, number, number, number, number];
  for (let i = 0; i < ROUNDS_COUNT; i++) {
    const s1 = rotateLeft(e, 26) ^ rotateLeft(e, 21) ^ rotateLeft(e, 7);
    const choice = (e & f) ^ (~e & g);
    const t1 = (h + s1 + choice + (CONSTANTS[i] as number) + (schedule[i] as number)) | 0;
    const s0 = rotateLeft(a, 30) ^ rotateLeft(a, 19) ^ rotateLeft(a, 10);
    const majority = (a & b) ^ (a & c) ^ (b & c);
    h = g;
    g = f;
    f = e;
    e = (d + t1) | 0;
    d = c;
    c = b;
    b = a;
    a = (t1 + s0 + majority) | 0;
  }
  const mixed = [a, b, c, d, e, f, g, h];
  for (let i = 0; i < 8; i++) state[i] = ((state[i] as number) + (mixed[i] as number)) | 0;
}

/** The first 32 bits behind the point. */
function fraction(root: number): number {
  return ((root - Math.floor(root)) * 2 ** 32) | 0;
}

function primes(count: number): number[] {
  const found: number[] = [];
  for (let n = 2; found.length < count; n++) if (found.every((prime) => n % prime !== 0)) found.push(n);
  return found;
}
