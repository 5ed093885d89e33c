import { sha1 } from "./sha1.ts";
import { formatUuid, parseUuid, UUID_BYTES } from "./uuid.ts";

const VERSION_5 = 0x50;
const VARIANT = 0x80;

/** The UUID that a name has in a namespace (RFC 9562, 5.5): the same text gives the same one everywhere and for ever. */
export class UuidV5 {
  readonly #namespace = new Uint8Array(UUID_BYTES);

  /** Throws where the namespace is no UUID. */
  constructor(namespace: string) {
    if (!parseUuid(namespace, this.#namespace)) throw new Error(`the namespace "${namespace}" is no UUID`);
  }

  of(name: string): string {
    const bytes = sha1(this.#namespace, name);
    bytes[6] = VERSION_5 | ((bytes[6] as number) & 0x0f);
    bytes[8] = VARIANT | ((bytes[8] as number) & 0x3f);
    return formatUuid(bytes);
  }
}
