/** A shorter value would blank out ordinary words, and is no secret. */
const VALUE_MIN_CHARS = 4;

const { stringify } = JSON;

/**
 * Takes a team's credentials out of what its scripts say (messages, logs), as they are and as they stand inside JSON.
 * It does not see what a script has made of them: encoded, cut, spelt backwards.
 */
export function credentialRedactor(credentials: readonly Record<string, string>[]): (text: string) => string {
  const names = new Map<string, string>();
  for (const [name, value] of credentials.flatMap((each) => Object.entries(each))) {
    if (value.length < VALUE_MIN_CHARS) continue;
    names.set(value, name);
    names.set(stringify(value).slice(1, -1), name);
  }
  if (names.size === 0) return (text) => text;
  // The longest first: one value may be a part of another.
  const values = [...names].sort(([a], [b]) => b.length - a.length);
  return (text) => {
    let clean = text;
    for (let i = 0; i < values.length; i++) {
      const [value, name] = values[i] as [string, string];
      clean = clean.replaceAll(value, () => `[credential ${name}]`);
    }
    return clean;
  };
}
