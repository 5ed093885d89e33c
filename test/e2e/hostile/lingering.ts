import type { HostileGroup } from "./hostile-script.ts";

export const lingering: HostileGroup = {
  title: "what outlives a call",
  scripts: [
    {
      what: "a promise left behind",
      ends: "nothing",
      got: 0,
      code: "globalThis.ran ??= 0; Promise.resolve().then(() => { globalThis.ran++; }); event.properties.got = globalThis.ran; return event;",
    },
    {
      what: "a promise left behind that loops",
      ends: "nothing",
      got: 1,
      code: "const next = () => Promise.resolve().then(next); next(); event.properties.got = 1; return event;",
    },
    {
      what: "an async function left behind",
      ends: "nothing",
      got: 1,
      code: "(async () => { for (;;) await null; })(); event.properties.got = 1; return event;",
    },
    {
      what: "a rejection handled later, with a loop",
      ends: "nothing",
      got: 1,
      code: "Promise.reject(1).catch(() => { for (;;) {} }); event.properties.got = 1; return event;",
    },
    {
      what: "the event before kept and changed",
      ends: "nothing",
      got: 1,
      code: "globalThis.before ??= event; globalThis.before.properties.got = 2; globalThis.before.event = 'stolen'; event.properties.got = 1; globalThis.before = event; return { ...event, properties: { ...event.properties } };",
    },
    {
      what: "a generator kept open",
      ends: "nothing",
      got: 1,
      code: "globalThis.open ??= (function* () { for (;;) yield 1; })(); globalThis.open.next(); event.properties.got = 1; return event;",
    },
    {
      what: "a promise of the runtime that ends later",
      ends: "nothing",
      got: 1,
      code: "crypto.subtle.digest('SHA-256', new Uint8Array(8)).then(() => { for (;;) {} }); event.properties.got = 1; return event;",
    },
  ],
};
