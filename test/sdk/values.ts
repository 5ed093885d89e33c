/**
 * What is hard on the way from a client to a destination. As source text, so that the very values are made where the SDK runs: half
 * a surrogate pair does not survive the way from the test into a page.
 */
export const ODD_SOURCE = String.raw`({
  unicode: "größe 你好 مرحبا",
  emoji: "🦊👩‍👩‍👧",
  half: "a\ud83d b\udc00",
  zero: "a\u0000b",
  markup: "</script><!-- \u2028",
  date: new Date(Date.UTC(2020, 1, 29, 1, 2, 3, 4)),
  integer: 9007199254740991,
  negative: -0.000001,
  yes: true,
  nothing: null,
  list: [1, "two", [null, { three: 3 }]],
  nested: { "a.b": { "": 1, "ключ": "значение" } },
  text: "23",
})`;

/** What they are once they have arrived. */
export const ODD_ARRIVED = {
  unicode: "größe 你好 مرحبا",
  emoji: "🦊👩‍👩‍👧",
  half: "a\ufffd b\ufffd",
  zero: "a\0b",
  markup: "</script><!-- \u2028",
  date: "2020-02-29T01:02:03.004Z",
  integer: 9_007_199_254_740_991,
  negative: -0.000001,
  yes: true,
  nothing: null,
  list: [1, "two", [null, { three: 3 }]],
  nested: { "a.b": { "": 1, ключ: "значение" } },
  text: "23",
};

export const oddValues = (): Record<string, unknown> => new Function(`return ${ODD_SOURCE}`)();
