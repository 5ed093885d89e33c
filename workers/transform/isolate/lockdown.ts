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

function remove(holder: object, name: string): void {
  if (Reflect.deleteProperty(holder, name)) return;
  // What cannot be deleted is covered; what can be neither stays as the runtime pinned it, and the isolate has no outbound anyway.
  Reflect.defineProperty(holder, name, { value: undefined, writable: false, configurable: false });
}
