/** The record's own value at `key`: ids are names that people choose, and objects inherit some. */
export function own<T>(record: Readonly<Record<string, T>>, key: string): T | undefined {
  return Object.hasOwn(record, key) ? record[key] : undefined;
}
