/*
 * Which address of a request to believe. Every proxy writes down whom it has heard from, to the right of what it was told itself; what a
 * client tells stands furthest to the left and is worth nothing. So the way is walked back from who is at the other end of the connection
 * for as long as that is a proxy of the operator's: the first that is none is the client.
 */
import { type Address, isWithin, type Network, parseAddress, parseNetwork } from "./address.ts";

export interface Proxies {
  networks: readonly Network[];
  /** Where they write it: `forwarded` (RFC 7239), or a header that lists addresses. */
  header: string;
}

const DEFAULT_HEADER = "x-forwarded-for";
export const NO_PROXIES: Proxies = { networks: [], header: DEFAULT_HEADER };
const HEADER_NAME = /^[!#$%&'*+.^_`|~0-9a-z-]+$/;

/** `private` in a list of proxies: what cannot be reached over the Internet. */
const PRIVATE_NETWORKS = [
  "127.0.0.0/8",
  "10.0.0.0/8",
  "172.16.0.0/12",
  "192.168.0.0/16",
  "100.64.0.0/10",
  "169.254.0.0/16",
  "::1/128",
  "fc00::/7",
  "fe80::/10",
];

/** Reads the operator's variables. Throws an Error for what is no network, and for a header that cannot be one. */
export function proxiesOf(env: { TRUSTED_PROXIES?: string; CLIENT_ADDRESS_HEADER?: string }): Proxies {
  const header = (env.CLIENT_ADDRESS_HEADER ?? DEFAULT_HEADER).trim().toLowerCase();
  if (!HEADER_NAME.test(header)) throw new Error(`CLIENT_ADDRESS_HEADER: "${header}" is no header name`);
  const texts = (env.TRUSTED_PROXIES ?? "")
    .split(",")
    .map((text) => text.trim())
    .filter((text) => text !== "")
    .flatMap((text) => (text === "private" ? PRIVATE_NETWORKS : [text]));
  const networks = texts.map((text) => {
    const network = parseNetwork(text);
    if (network === null) {
      throw new Error(
        `TRUSTED_PROXIES: "${text}" is no network; write 10.0.0.0/8, 2001:db8::/32, an address or private`,
      );
    }
    return network;
  });
  return { networks, header };
}

/** `peer`: who is at the other end. Null where a proxy does not say, or what the headers hold is not what a proxy writes. */
export function clientAddress(peer: Address | null, headers: Headers, { networks, header }: Proxies): Address | null {
  const isProxy = (address: Address) => networks.some((network) => isWithin(address, network));
  if (peer === null || networks.length === 0 || !isProxy(peer)) return peer;
  const text = headers.get(header) ?? "";
  const hops = header === "forwarded" ? forwardedHops(text) : listedHops(text);
  if (hops === null) return null;
  let client = peer;
  for (const hop of hops.reverse()) {
    const address = parseHop(hop);
    if (address === null) return null;
    client = address;
    if (!isProxy(client)) break;
  }
  return client;
}

function listedHops(text: string): string[] {
  return text.trim() === "" ? [] : text.split(",");
}

const TOKEN = "[!#$%&'*+.^_`|~0-9A-Za-z-]+";
/** One `name=value` with what must follow it, from where the one before has ended. */
const PAIR = new RegExp(`[ \\t]*(${TOKEN})=(?:(${TOKEN})|"((?:[^"\\\\]|\\\\.)*)")[ \\t]*(;|,|$)`, "y");

/**
 * The `for` of each element. Null where the text is not made as RFC 7239 says: a client may have opened a quote for the proxy's own
 * words to disappear in. An element without `for` is a hop that does not say.
 */
function forwardedHops(text: string): string[] | null {
  const hops: string[] = [];
  let hop = "";
  PAIR.lastIndex = 0;
  while (PAIR.lastIndex < text.length) {
    const [, name, token, quoted, end] = PAIR.exec(text) ?? [];
    if (name === undefined) return null;
    if (name.toLowerCase() === "for") hop = token ?? (quoted as string).replaceAll(/\\(.)/g, "$1");
    if (end === ";") continue;
    hops.push(hop);
    hop = "";
  }
  return hops;
}

const IPV4_WITH_PORT = /^([\d.]+):\d+$/;
const BRACKETED = /^\[([^\]]*)\](?::\d+)?$/;

/** An address with or without a port; IPv6 in brackets where it has one. Null for `unknown`, for names, and for anything else. */
export function parseHop(text: string): Address | null {
  const hop = text.trim();
  return parseAddress(IPV4_WITH_PORT.exec(hop)?.[1] ?? BRACKETED.exec(hop)?.[1] ?? hop);
}
