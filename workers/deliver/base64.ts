/** Few enough arguments for any engine's call stack. */
const SLICE_BYTES = 8_192;

/** Standard base64 with padding. Written on btoa, which every runtime here has; `Uint8Array.prototype.toBase64` is not in Node 24. */
export function toBase64(bytes: Uint8Array): string {
  let binary = "";
  for (let at = 0; at < bytes.length; at += SLICE_BYTES) {
    binary += String.fromCharCode(...bytes.subarray(at, at + SLICE_BYTES));
  }
  return btoa(binary);
}

export function textToBase64(text: string): string {
  return toBase64(new TextEncoder().encode(text));
}

/** Throws for anything that is not base64. */
export function fromBase64(text: string): Uint8Array<ArrayBuffer> {
  const binary = atob(text);
  const bytes = new Uint8Array(binary.length);
  for (let i = 0; i < binary.length; i++) bytes[i] = binary.charCodeAt(i);
  return bytes;
}
