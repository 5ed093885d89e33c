import { InvalidTokenError } from "../errors.ts";

const MAX_LENGTH = 64;
/** Personal keys are secret and act for a person; one that is sent as a write key has leaked. */
const PERSONAL_KEY_PREFIX = "phx_";
const NOT_ASCII = /[^\0-\x7f]/;

/** The token without surrounding whitespace. Throws InvalidTokenError where it cannot be one. */
export function checkedToken(given: string): string {
  const token = given.trim();
  if (token === "") throw new InvalidTokenError("empty");
  if (token.length > MAX_LENGTH) throw new InvalidTokenError("too_long");
  if (NOT_ASCII.test(token)) throw new InvalidTokenError("not_ascii");
  if (token.startsWith(PERSONAL_KEY_PREFIX)) throw new InvalidTokenError("personal_api_key");
  if (token.includes("\0")) throw new InvalidTokenError("null_byte");
  return token;
}
