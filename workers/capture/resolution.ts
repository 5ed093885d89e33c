import type { TokenSnapshot } from "../../shared/snapshot.ts";

/** What the configuration says of a token. Immutable: what is compiled from it may be kept beside it. */
export type Resolution = Omit<TokenSnapshot, "version">;
