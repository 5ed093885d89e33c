/** What scripts find beside the language itself: values in, values out. Everything else that the runtime offers goes. */
const KEPT = new Set(
  `Object Function Array Number parseFloat parseInt Infinity NaN undefined Boolean String Symbol Date Promise RegExp Error
  AggregateError EvalError RangeError ReferenceError SyntaxError TypeError URIError SuppressedError globalThis JSON Math Intl
  ArrayBuffer Uint8Array Int8Array Uint16Array Int16Array Uint32Array Int32Array BigUint64Array BigInt64Array Uint8ClampedArray
  Float32Array Float64Array Float16Array DataView Map BigInt Set Iterator WeakMap WeakSet Proxy Reflect decodeURI
  decodeURIComponent encodeURI encodeURIComponent escape unescape isFinite isNaN Temporal
  URL URLSearchParams TextEncoder TextDecoder atob btoa structuredClone crypto console`.split(/\s+/),
);

/** Removes the network, timers, storage and workers from the global object and from what it inherits; a script sees `undefined`. */
export function lockDown(scope: object): void {
  for (let holder: object | null = scope; holder !== null && holder !== Object.prototype; ) {
    for (const name of Object.getOwnPropertyNames(holder)) {
      if (KEPT.has(name) || name === "constructor") continue;
      remove(holder, name);
    }
    holder = Object.getPrototypeOf(holder) as object | null;
  }
}

/**
 * Makes what the harness and the runtime's own calls rest on unchangeable: a script that replaces `Promise.prototype.then`
 * would leave the host waiting for ever. New names may still be added (polyfills), and classes may still be derived.
 */
export function pinIntrinsics(): void {
  const arrayIterator = Object.getPrototypeOf([][Symbol.iterator]()) as object;
  const types = [Promise, Array, Object, String, Map, Set, RegExp, TextEncoder, TextDecoder, Uint8Array];
  for (const type of types) pin(type);
  for (const { prototype } of types) if (prototype !== Object.prototype) pin(prototype);
  for (const holder of [JSON, Reflect, arrayIterator, Object.getPrototypeOf(Uint8Array.prototype) as object])
    pin(holder);
}

/** `constructor` and `toString` are what old-style classes assign to their own prototypes: a pinned one would refuse that too. */
const LEFT_OPEN = new Set<PropertyKey>(["constructor", "toString", "prototype"]);

function pin(holder: object): void {
  for (const name of Reflect.ownKeys(holder)) {
    if (LEFT_OPEN.has(name)) continue;
    const { writable } = Reflect.getOwnPropertyDescriptor(holder, name) as PropertyDescriptor;
    Reflect.defineProperty(
      holder,
      name,
      writable === undefined ? { configurable: false } : { writable: false, configurable: false },
    );
  }
}

function remove(holder: object, name: string): void {
  if (Reflect.deleteProperty(holder, name)) return;
  // What cannot be deleted is covered; what can be neither stays as the runtime pinned it, and the isolate has no outbound anyway.
  Reflect.defineProperty(holder, name, { value: undefined, writable: false, configurable: false });
}
