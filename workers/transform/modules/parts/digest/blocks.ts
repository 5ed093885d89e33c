/** What MD5, SHA-1 and SHA-256 share: messages padded to blocks of 64 bytes, with their length at the end. */
export const BLOCK_BYTES = 64;
/** A bit that ends the message, and its length in bits. */
const TRAILER_BYTES = 9;

export type Digest = (message: Uint8Array) => Uint8Array;

/** The message as 32-bit words, block after block. */
export function paddedWords(message: Uint8Array, littleEndian: boolean): Int32Array {
  const blocks = Math.ceil((message.length + TRAILER_BYTES) / BLOCK_BYTES);
  const bytes = new Uint8Array(blocks * BLOCK_BYTES);
  bytes.set(message);
  bytes[message.length] = 0x80;
  const view = new DataView(bytes.buffer);
  const high = Math.floor(message.length / 2 ** 29);
  const low = (message.length << 3) >>> 0;
  view.setUint32(bytes.length - 8, littleEndian ? low : high, littleEndian);
  view.setUint32(bytes.length - 4, littleEndian ? high : low, littleEndian);
  const words = new Int32Array(bytes.length / 4);
  for (let i = 0; i < words.length; i++) words[i] = view.getInt32(i * 4, littleEndian);
  return words;
}

export function bytesOf(state: Int32Array, littleEndian: boolean): Uint8Array {
  const bytes = new Uint8Array(state.length * 4);
  const view = new DataView(bytes.buffer);
  for (let i = 0; i < state.length; i++) view.setInt32(i * 4, state[i] as number, littleEndian);
  return bytes;
}

export function rotateLeft(word: number, bits: number): number {
  return (word << bits) | (word >>> (32 - bits));
}

/** RFC 2104. */
export function hmac(digest: Digest, key: Uint8Array, message: Uint8Array): Uint8Array {
  const short = key.length > BLOCK_BYTES ? digest(key) : key;
  const inner = new Uint8Array(BLOCK_BYTES + message.length).fill(0x36, 0, BLOCK_BYTES);
  const outer = new Uint8Array(BLOCK_BYTES).fill(0x5c);
  for (let i = 0; i < short.length; i++) {
    inner[i] = 0x36 ^ (short[i] as number);
    outer[i] = 0x5c ^ (short[i] as number);
  }
  inner.set(message, BLOCK_BYTES);
  const within = digest(inner);
  const whole = new Uint8Array(BLOCK_BYTES + within.length);
  whole.set(outer);
  whole.set(within, BLOCK_BYTES);
  return digest(whole);
}
