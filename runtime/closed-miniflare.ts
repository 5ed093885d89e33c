/**
 * Miniflare, with its sockets closed to what only its own proxy should say. It has every socket take `request.cf` from a header, and
 * form a Cap'n Proto connection to the worker behind it for whoever asks for a certain host. Sockets of one's own are open to anybody:
 * who is on the network could say where he is, and call the worker past HTTP. No option turns this off, so it is taken out of the
 * source as that is loaded; without the header the runtime puts the caller's address into `request.cf` instead.
 */
import { registerHooks } from "node:module";

/** In what makes the direct sockets; the version of miniflare is pinned. */
const OPEN = /cfBlobHeader: CoreHeaders\.CF_BLOB,\s*capnpConnectHost: HOST_CAPNP_CONNECT/g;
/** All direct sockets are made there. */
const PLACES_COUNT = 1;

const hooks = registerHooks({
  load(url, context, next) {
    const loaded = next(url, context);
    if (!url.endsWith("/miniflare/dist/src/index.js")) return loaded;
    const text =
      typeof loaded.source === "string" ? loaded.source : new TextDecoder().decode(loaded.source ?? undefined);
    const places = text.match(OPEN)?.length ?? 0;
    if (places !== PLACES_COUNT)
      throw new Error(`miniflare has ${places} open sockets where ${PLACES_COUNT} are known`);
    return { ...loaded, source: text.replaceAll(OPEN, "") };
  },
});
export const { Log, LogLevel, Miniflare } = await import("miniflare");
hooks.deregister();
