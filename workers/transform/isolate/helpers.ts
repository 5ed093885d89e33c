/** What every script finds in `ctx` beside its own settings: pure functions. Part of the prototype that a script's contexts share. */
export const helpers: Readonly<Record<string, unknown>> = Object.freeze({});
