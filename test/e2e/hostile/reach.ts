import type { HostileGroup } from "./hostile-script.ts";

const ABSENT =
  "fetch WebSocket EventSource XMLHttpRequest connect Request Response Worker SharedArrayBuffer Atomics WebAssembly setTimeout setInterval setImmediate queueMicrotask scheduler caches navigator process require Buffer self env FinalizationRegistry WeakRef MessageChannel BroadcastChannel ReadableStream HTMLRewriter addEventListener Cloudflare performance reportError eval".split(
    " ",
  );

export const reach: HostileGroup = {
  title: "ways out",
  scripts: [
    { what: "fetch", ends: "publish", says: "cannot use fetch", code: "fetch('http://127.0.0.1'); return event;" },
    {
      what: "a socket",
      ends: "publish",
      says: "cannot use WebSocket",
      code: "new WebSocket('ws://127.0.0.1'); return event;",
    },
    { what: "eval", ends: "publish", says: "cannot use eval", code: "eval('1'); return event;" },
    {
      what: "Function",
      ends: "publish",
      says: "cannot use Function",
      code: "new Function('return 1')(); return event;",
    },
    { what: "import()", ends: "publish", says: "cannot import()", code: "import('cloudflare:workers'); return event;" },
    {
      what: "import.meta",
      ends: "publish",
      says: "import.meta",
      code: "event.properties.x = import.meta; return event;",
    },
    {
      what: "await at the top",
      ends: "publish",
      says: "cannot await",
      code: "await new Promise(() => {});\nexport const transform = (event) => event;",
    },
    ...[
      "cloudflare:workers",
      "cloudflare:sockets",
      "workerd:unsafe",
      "node:fs",
      "node:net",
      "./harness.js",
      "./bundle.json",
      "https://example.com/x.js",
      "data:text/javascript,1",
    ].map(
      (name) =>
        ({
          what: `import of ${name}`,
          ends: "publish",
          says: `cannot import "${name}"`,
          code: `import * as all from ${JSON.stringify(name)};\nexport const transform = (event) => ({ ...event, all });`,
        }) as const,
    ),
    {
      what: "import of JSON with attributes",
      ends: "publish",
      says: "cannot import",
      code: 'import all from "./bundle.json" with { type: "json" };\nexport const transform = (event) => ({ ...event, all });',
    },
    {
      what: "WebAssembly",
      ends: "publish",
      says: "cannot use WebAssembly",
      code: "WebAssembly.compile; return event;",
    },
    {
      what: "timers",
      ends: "publish",
      says: "cannot use setTimeout",
      code: "setTimeout(() => { for (;;) {} }, 0); return event;",
    },
    {
      what: "process.env",
      ends: "publish",
      says: "cannot use process",
      code: "event.properties.x = process.env; return event;",
    },
    {
      what: "the constructor of functions",
      ends: "error",
      says: "EvalError",
      code: "return (() => {}).constructor('return this')();",
    },
    {
      what: "the constructor of async functions",
      ends: "error",
      says: "EvalError",
      code: "return (async () => {}).constructor('return this')();",
    },
    {
      what: "the constructor of generators",
      ends: "error",
      says: "EvalError",
      code: "return (function* () {}).constructor('yield this')().next();",
    },
    {
      what: "the constructor of async generators",
      ends: "error",
      says: "EvalError",
      code: "return (async function* () {}).constructor('yield this')().next();",
    },
    {
      what: "a constructor by way of built-ins",
      ends: "error",
      says: "EvalError",
      code: "return Reflect.construct(Reflect.getPrototypeOf(ctx.log).constructor, ['return this'])();",
    },
    {
      what: "arguments.callee",
      ends: "error",
      says: "TypeError",
      code: "return (function () { return arguments.callee.caller; })();",
    },
    {
      what: "any other global",
      ends: "nothing",
      got: [],
      code: `event.properties.got = ${JSON.stringify(ABSENT)}.filter((name) => globalThis[name] !== undefined); return event;`,
    },
    {
      what: "what the global object inherits",
      ends: "nothing",
      got: [],
      code: `const names = []; for (let at = globalThis; at !== null; at = Object.getPrototypeOf(at)) names.push(...Object.getOwnPropertyNames(at).filter((name) => ${JSON.stringify(ABSENT)}.includes(name) && at[name] !== undefined)); event.properties.got = names; return event;`,
    },
    {
      what: "this",
      ends: "nothing",
      got: "undefined",
      code: "event.properties.got = typeof (function () { return this; })(); return event;",
    },
    {
      what: "an addition to Array.prototype that sees what others push",
      ends: "error",
      says: "TypeError",
      code: "Array.prototype.push = function () { for (;;) {} }; return event;",
    },
    {
      what: "Atomics.wait",
      ends: "error",
      says: "not defined",
      code: "return Atomics.wait(new Int32Array(new ArrayBuffer(4)), 0, 0);",
    },
    { what: "shared memory", ends: "error", says: "not defined", code: "return new SharedArrayBuffer(8);" },
    {
      what: "word of what the collector does",
      ends: "error",
      says: "not defined",
      code: "return new FinalizationRegistry(() => { for (;;) {} });",
    },
    {
      what: "the runtime's crypto without end",
      ends: "kill",
      code: "for (;;) crypto.getRandomValues(new Uint8Array(65_536));",
    },
    {
      what: "a key that takes seconds",
      ends: "kill",
      code: "export async function processEvent(event) { const key = await crypto.subtle.importKey('raw', new Uint8Array(8), 'PBKDF2', false, ['deriveBits']); await crypto.subtle.deriveBits({ name: 'PBKDF2', hash: 'SHA-512', salt: new Uint8Array(8), iterations: 2 ** 31 - 1 }, key, 512); return event; }",
    },
  ],
};
