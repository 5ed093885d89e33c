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

/** Their prototypes cannot be changed. Others' are inherited by what scripts assign to: an `Error` could not be given a name. */
const PINNED_PROTOTYPES = [
  ...[Promise, Array, String, Map, Set, RegExp, TextEncoder, TextDecoder, Uint8Array],
  ...[Date, Number, Boolean, BigInt, WeakMap, WeakSet],
].map(({ prototype }) => prototype as object);

/**
 * Makes what the harness and the runtime's own calls rest on unchangeable: a script that replaces `Promise.prototype.then`
 * would leave the host waiting for ever. New names may still be added (polyfills), but for `Object.prototype`, which everything
 * inherits; and classes may still be derived.
 */
export function pinIntrinsics(scope: object): void {
  const arrayIterator = Object.getPrototypeOf([][Symbol.iterator]()) as object;
  const holders = [...PINNED_PROTOTYPES, arrayIterator, Object.getPrototypeOf(Uint8Array.prototype) as object];
  keepPrototypes(new Set(holders));
  for (const holder of holders) pin(holder);
  // The runtime asks for it whenever a stack is read, which the harness does on no fuel.
  Object.defineProperty(Error, "prepareStackTrace", { value: undefined, configurable: true });
  for (const name of KEPT) {
    const { [name as keyof typeof scope]: value } = scope;
    // What scripts do to their console is heard by nobody else.
    if (isHolder(value) && value !== scope && name !== "console") pin(value);
    // Some of them the global object only inherits.
    if (Object.hasOwn(scope, name)) pinName(scope, name);
    else if (value !== undefined) Object.defineProperty(scope, name, { value });
  }
  Object.preventExtensions(Object.prototype);
}

function isHolder(value: unknown): value is object {
  return typeof value === "function" || (typeof value === "object" && value !== null);
}

/** Refuses to put another prototype behind these: an array whose prototype has setters would run them wherever the harness pushes. */
function keepPrototypes(kept: ReadonlySet<unknown>): void {
  const { setPrototypeOf } = Object;
  const { setPrototypeOf: reflect } = Reflect;
  const refuse = (target: unknown) => {
    if (kept.has(target)) throw new TypeError("Cannot set the prototype of what the language gives");
  };
  const accessor = Object.getOwnPropertyDescriptor(Object.prototype, "__proto__") as { set(value: unknown): void };
  Object.setPrototypeOf = <T>(target: T, prototype: object | null): T => {
    refuse(target);
    return setPrototypeOf(target, prototype);
  };
  Reflect.setPrototypeOf = (target, prototype) => !kept.has(target) && reflect(target, prototype);
  const setter = {
    set __proto__(value: unknown) {
      refuse(this);
      Reflect.apply(accessor.set, this, [value]);
    },
  };
  const { set } = Object.getOwnPropertyDescriptor(setter, "__proto__") as PropertyDescriptor;
  Object.defineProperty(Object.prototype, "__proto__", {
    ...accessor,
    set: set as (value: unknown) => void,
    configurable: false,
  });
}

/** `constructor` and `toString` are what old-style classes assign to their own prototypes: a pinned one would refuse that too. */
const LEFT_OPEN = new Set<PropertyKey>(["constructor", "toString", "prototype"]);

function pin(holder: object): void {
  for (const name of Reflect.ownKeys(holder)) {
    if (!LEFT_OPEN.has(name)) pinName(holder, name);
  }
}

function pinName(holder: object, name: PropertyKey): void {
  const { writable } = Reflect.getOwnPropertyDescriptor(holder, name) as PropertyDescriptor;
  Reflect.defineProperty(
    holder,
    name,
    writable === undefined ? { configurable: false } : { writable: false, configurable: false },
  );
}

function remove(holder: object, name: string): void {
  if (Reflect.deleteProperty(holder, name)) return;
  // What cannot be deleted is covered; what can be neither stays as the runtime pinned it, and the isolate has no outbound anyway.
  Reflect.defineProperty(holder, name, { value: undefined, writable: false, configurable: false });
}
