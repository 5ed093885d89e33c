const ALPHABET = "ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789+/";

/** A text of lz-string's base64 that unpacks to `units` characters or more. */
export function lz64Bomb(units: number): Uint8Array {
  const bits: number[] = [];
  const put = (value: number, count: number) => {
    for (let bit = 0; bit < count; bit++) bits.push((value >> bit) & 1);
  };
  put(0, 2);
  put(97, 8);
  let [width, room, length] = [3, 4, 1];
  // Codes of phrases each one longer than the one before: "a", "aa", "aaa", … until they add up.
  for (let code = 4, sum = 1; sum < units; code++) {
    put(code, width);
    sum += ++length;
    if (--room === 0) room = 2 ** width++;
  }
  put(2, width);
  while (bits.length % 6 !== 0) bits.push(0);
  return Uint8Array.from({ length: bits.length / 6 }, (_, at) =>
    ALPHABET.charCodeAt(Number.parseInt(bits.slice(at * 6, at * 6 + 6).join(""), 2)),
  );
}
