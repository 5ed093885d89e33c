/** How much of a text tells base64 from JSON and forms; all of a body of megabytes would have to be read twice. */
const LOOKED_AT_BYTES = 128;

/** 1 for the bytes of the standard alphabet and its padding. */
const IN_ALPHABET = new Uint8Array(256);
for (const char of "ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789+/=") {
  IN_ALPHABET[char.charCodeAt(0)] = 1;
}
const SPACE = 0x20;

/** Whether the bytes may be base64. JSON of events never is: it begins with a bracket. */
export function looksBase64(bytes: Uint8Array): boolean {
  if (bytes.length === 0 || bytes.length % 4 !== 0) return false;
  const end = Math.min(bytes.length, LOOKED_AT_BYTES);
  for (let at = 0; at < end; at++) if (IN_ALPHABET[bytes[at] as number] === 0) return false;
  return true;
}

/** The same for a text whose `+` a form has turned into spaces. */
export function looksBase64WithSpaces(text: string): boolean {
  const end = Math.min(text.length, LOOKED_AT_BYTES);
  for (let at = 0; at < end; at++) {
    const code = text.charCodeAt(at);
    if (code !== SPACE && IN_ALPHABET[code] !== 1) return false;
  }
  return end > 0;
}

const ascii = new TextDecoder();

/** Null where it is no base64 after all. */
export function fromBase64(bytes: Uint8Array): Uint8Array<ArrayBuffer> | null {
  let binary: string;
  try {
    binary = atob(ascii.decode(bytes));
  } catch {
    return null;
  }
  const decoded = new Uint8Array(binary.length);
  for (let at = 0; at < binary.length; at++) decoded[at] = binary.charCodeAt(at);
  return decoded;
}
