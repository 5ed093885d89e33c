import { looksBase64WithSpaces } from "./base64.ts";
import { decodeUtf8 } from "./body.ts";

/** How much of a body tells a form from anything else. */
const LOOKED_AT_BYTES = 128;
/** The fields that SDKs send as forms. */
const KNOWN_FIELD = /(?:^|&)(?:data|_|ip|compression)=/;

export interface Form {
  /** Empty where the form has none. */
  data: string;
  compression: string | null;
}

const latin1 = new TextDecoder("latin1");

/** Whether the bytes are a form as SDKs write it. */
export function looksLikeForm(bytes: Uint8Array): boolean {
  return KNOWN_FIELD.test(latin1.decode(bytes.subarray(0, LOOKED_AT_BYTES)));
}

/** Throws DecodeError where the bytes are no UTF-8. */
export function parseForm(bytes: Uint8Array): Form {
  const fields = new URLSearchParams(decodeUtf8(bytes));
  return { data: withPluses(fields.get("data") ?? ""), compression: fields.get("compression") };
}

/** Clients that do not escape base64 lose its `+` to the form's rule that a plus is a space. */
export function withPluses(text: string): string {
  return looksBase64WithSpaces(text) ? text.replaceAll(" ", "+") : text;
}
