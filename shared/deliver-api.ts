/** RPC of the deliver worker's `DeliverService` entry: the only place that can open a secret. */
export interface DeliverApi {
  /**
   * Seals a secret for storage. Where `previous` is a sealed form of the same text, that form is returned, so that an unchanged
   * secret leaves the configuration unchanged.
   */
  seal(plaintext: string, previous: string | null): Promise<string>;
  /**
   * What was sealed: a source's or a script's own secret, for the worker that has to use it. A destination's stay with deliver. Throws
   * where the key has changed since.
   */
  open(sealed: string): Promise<string>;
}
