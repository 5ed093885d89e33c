/*
 * SHA-1 (FIPS 180-4) of short texts. It names things and protects nothing. The runtime's own takes four microseconds a call whatever the
 * text, more than all else that is done with a small event; for a name of some dozens of characters this takes a third of it.
 */
export const SHA1_BYTES = 20;

const BLOCK_BYTES = 64;
/** The end of the message, and its length in bits, stand behind it. */
const END = 0x80;
const LENGTH_BYTES = 8;
const ASCII_COUNT = 0x80;
const ROUNDS = 80;

const encoder = new TextEncoder();
const words = new Int32Array(ROUNDS);
const state = new Int32Array(SHA1_BYTES / 4);
/** Holds what names usually are, so that they need no memory of their own. */
const shortMessage = new Uint8Array(4 * BLOCK_BYTES);

/** Of the prefix with the text in UTF-8 behind it. */
export function sha1(prefix: Uint8Array, text: string): Uint8Array<ArrayBuffer> {
  const length = prefix.length + text.length;
  const message = blocksFor(length);
  message.set(prefix);
  for (let i = 0; i < text.length; i++) {
    const code = text.charCodeAt(i);
    if (code >= ASCII_COUNT) return sha1OfBytes(prefix, encoder.encode(text));
    message[prefix.length + i] = code;
  }
  return digest(message, length);
}

function sha1OfBytes(prefix: Uint8Array, bytes: Uint8Array): Uint8Array<ArrayBuffer> {
  const length = prefix.length + bytes.length;
  const message = blocksFor(length);
  message.set(prefix);
  message.set(bytes, prefix.length);
  return digest(message, length);
}

/** Room for so many bytes and what stands behind them. */
function blocksFor(length: number): Uint8Array<ArrayBuffer> {
  const blocks = Math.ceil((length + 1 + LENGTH_BYTES) / BLOCK_BYTES);
  const bytes = blocks * BLOCK_BYTES;
  return bytes <= shortMessage.length ? shortMessage.subarray(0, bytes) : new Uint8Array(bytes);
}

function digest(message: Uint8Array, length: number): Uint8Array<ArrayBuffer> {
  message.fill(0, length);
  message[length] = END;
  // Of the eight bytes of the length four are enough for half a gigabyte.
  for (let byte = 1; byte <= 4; byte++) message[message.length - byte] = (length * 8) >>> ((byte - 1) * 8);
  state.set([0x67452301, 0xefcdab89, 0x98badcfe, 0x10325476, 0xc3d2e1f0]);
  for (let at = 0; at < message.length; at += BLOCK_BYTES) addBlock(message, at);
  const hash = new Uint8Array(SHA1_BYTES);
  for (let at = 0; at < SHA1_BYTES; at++) hash[at] = (state[at >> 2] as number) >>> (24 - (at & 3) * 8);
  return hash;
}

function addBlock(message: Uint8Array, from: number): void {
  for (let t = 0, at = from; t < BLOCK_BYTES / 4; t++, at += 4) {
    words[t] =
      ((message[at] as number) << 24) |
      ((message[at + 1] as number) << 16) |
      ((message[at + 2] as number) << 8) |
      (message[at + 3] as number);
  }
  for (let t = BLOCK_BYTES / 4; t < ROUNDS; t++) {
    const word =
      (words[t - 3] as number) ^ (words[t - 8] as number) ^ (words[t - 14] as number) ^ (words[t - 16] as number);
    words[t] = (word << 1) | (word >>> 31);
  }
  let a = state[0] as number;
  let b = state[1] as number;
  let c = state[2] as number;
  let d = state[3] as number;
  let e = state[4] as number;
  // One loop for each quarter: a choice in every round would take as long as the round.
  for (let t = 0; t < 20; t++) {
    const next = (((a << 5) | (a >>> 27)) + ((b & c) | (~b & d)) + 0x5a827999 + e + (words[t] as number)) | 0;
    e = d;
    d = c;
    c = (b << 30) | (b >>> 2);
    b = a;
    a = next;
  }
  for (let t = 20; t < 40; t++) {
    const next = (((a << 5) | (a >>> 27)) + (b ^ c ^ d) + 0x6ed9eba1 + e + (words[t] as number)) | 0;
    e = d;
    d = c;
    c = (b << 30) | (b >>> 2);
    b = a;
    a = next;
  }
  for (let t = 40; t < 60; t++) {
    const next = (((a << 5) | (a >>> 27)) + ((b & c) | (d & (b | c))) + 0x8f1bbcdc + e + (words[t] as number)) | 0;
    e = d;
    d = c;
    c = (b << 30) | (b >>> 2);
    b = a;
    a = next;
  }
  for (let t = 60; t < ROUNDS; t++) {
    const next = (((a << 5) | (a >>> 27)) + (b ^ c ^ d) + 0xca62c1d6 + e + (words[t] as number)) | 0;
    e = d;
    d = c;
    c = (b << 30) | (b >>> 2);
    b = a;
    a = next;
  }
  state[0] = (state[0] as number) + a;
  state[1] = (state[1] as number) + b;
  state[2] = (state[2] as number) + c;
  state[3] = (state[3] as number) + d;
  state[4] = (state[4] as number) + e;
}
