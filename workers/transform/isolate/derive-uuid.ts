const ROUNDS = 12;
/** Separates the two numbers that go in; both stay far below. */
const SCRIPT_STRIDE = 0x10000;
const VERSION_8 = 0x8000;
const VARIANT = 0x80000000;

/**
 * The uuid of an output beyond the first: always the same for the same input, script and place, so that a batch that runs
 * again gives the same events. A UUIDv8: the 128 bits of the input's uuid, stirred by rounds that can be undone, so two
 * inputs can only meet in the six bits that version and variant take.
 */
export function deriveUuid(uuid: string, script: number, output: number): string {
  const hex = uuid.replaceAll("-", "");
  let a = Number.parseInt(hex.slice(0, 8), 16) | 0;
  let b = Number.parseInt(hex.slice(8, 16), 16) | 0;
  let c = Number.parseInt(hex.slice(16, 24), 16) | 0;
  let d = Number.parseInt(hex.slice(24, 32), 16) | 0;
  const key = (script * SCRIPT_STRIDE + output) | 0;
  for (let round = 0; round < ROUNDS; round++) {
    a = (a + stir(b ^ key)) | 0;
    b ^= stir(c + round);
    c = (c + stir(d ^ a)) | 0;
    d ^= stir(a + b);
  }
  const v = (b & 0xffff0fff) | VERSION_8;
  const w = (c & 0x3fffffff) | VARIANT;
  const text = word(a) + word(v) + word(w) + word(d);
  return `${text.slice(0, 8)}-${text.slice(8, 12)}-${text.slice(12, 16)}-${text.slice(16, 20)}-${text.slice(20)}`;
}

function stir(value: number): number {
  let v = Math.imul(value ^ (value >>> 16), 0x45d9f3b3);
  v = Math.imul(v ^ (v >>> 13), 0x2b6cc7a5);
  return (v ^ (v >>> 16)) | 0;
}

function word(value: number): string {
  return (value >>> 0).toString(16).padStart(8, "0");
}
