/** A secret is short; so many of them take less than a megabyte. */
const CAPACITY_COUNT = 1_000;

/**
 * Secrets that this isolate has opened, by their sealed form, so that a request does not wait for another worker. A changed secret has
 * another sealed form; the one that is used least recently makes room.
 *
 * Holds texts and no promises: in workerd a request cannot wait for what another one has begun.
 */
export class OpenedSecrets {
  readonly #open: (sealed: string) => Promise<string>;
  readonly #capacity: number;
  readonly #opened = new Map<string, string>();

  constructor(open: (sealed: string) => Promise<string>, capacity = CAPACITY_COUNT) {
    this.#open = open;
    this.#capacity = capacity;
  }

  /** Throws what opening throws, and tries again the next time. */
  async open(sealed: string): Promise<string> {
    const secret = this.#opened.get(sealed) ?? (await this.#open(sealed));
    this.#opened.delete(sealed);
    this.#opened.set(sealed, secret);
    if (this.#opened.size > this.#capacity) this.#opened.delete(this.#opened.keys().next().value as string);
    return secret;
  }
}
