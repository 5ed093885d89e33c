/** Where destinations may be, as workerd's `network` takes it. */
export interface Egress {
  /** "public", "private", or CIDRs. */
  allow: string[];
  deny: string[];
}

/**
 * Networks that nobody on the internet has, and that workerd's "public" holds all the same (IANA's special-purpose registries): there a
 * destination would reach whatever the machine's own network makes of them.
 */
const NOT_PUBLIC = [
  // Benchmarks (RFC 2544), documentation (RFC 5737, 3849), and IPv4 in IPv6: compatible (RFC 4291), NAT64 (RFC 6052, 8215), 6to4.
  ...["198.18.0.0/15", "192.0.2.0/24", "198.51.100.0/24", "203.0.113.0/24", "2001:db8::/32"],
  ...["::/96", "64:ff9b::/96", "64:ff9b:1::/48", "2002::/16"],
  // Multicast and site-local.
  ...["224.0.0.0/4", "ff00::/8", "fec0::/10"],
];

/** Everything on a developer's machine; in production public networks, and what the operator allows besides. */
export function egressOf(production: boolean, allowPrivate: readonly string[]): Egress {
  if (!production) return { allow: ["public", "private"], deny: [] };
  // Of two networks of one size workerd takes the one that denies.
  return { allow: ["public", ...allowPrivate], deny: NOT_PUBLIC.filter((cidr) => !allowPrivate.includes(cidr)) };
}
