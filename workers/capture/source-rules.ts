import { compilePattern } from "../../shared/filter.ts";
import { sharePoint } from "../../shared/share-point.ts";
import type { SourceSnapshot } from "../../shared/snapshot.ts";
import { compileAddressPolicy } from "./address-policy.ts";
import type { DecodeLimits } from "./decode/limits.ts";
import { OriginError, WrongProtocolError } from "./errors.ts";
import type { Resolution } from "./resolution.ts";
import type { Rule } from "./rules.ts";

/** How a request came, as sources tell it apart. */
export type ProtocolKind = Exclude<SourceSnapshot["protocol"], "any">;

/** Throws where the token's source does not take such a request at all. `origin`: of the page that it comes from; null from a server. */
export function requireTaken({ source }: Resolution, kind: ProtocolKind, origin: string | null): void {
  const takes = source?.protocol ?? "any";
  if (takes === "any" ? kind === "webhook" : kind !== takes) throw new WrongProtocolError(takes, source?.id);
  if (source?.origins === undefined || origin === null) return;
  const given = origin.toLowerCase();
  if (!source.origins.some((allowed) => originMatches(allowed, given))) throw new OriginError(source.id);
}

/** `*` for all, `https://*.example.com` for all below example.com, which is not among them itself. */
function originMatches(allowed: string, origin: string): boolean {
  if (allowed === "*" || allowed === origin) return true;
  const [scheme, domain] = allowed.split("*");
  if (domain === undefined) return false;
  return origin.length > allowed.length - 1 && origin.startsWith(scheme as string) && origin.endsWith(domain);
}

/** The limits of its requests. */
export function limitsOf({ source }: Resolution, limits: DecodeLimits): DecodeLimits {
  if (source?.max_event_bytes === undefined) return limits;
  return { ...limits, eventBytes: Math.min(limits.eventBytes, source.max_event_bytes) };
}

/** What the source makes of each event; all of them become the source's, refused ones too. */
export function compileSource(source: SourceSnapshot): Rule {
  const { id, enabled, sample } = source;
  const isAllowed = source.events?.allow === undefined ? null : compileNames(source.events.allow);
  const isDenied = source.events?.deny === undefined ? null : compileNames(source.events.deny);
  const treatAddress = compileAddressPolicy(source.ip);
  return (event) => {
    event.source = id;
    if (!enabled) return "source_disabled";
    if (isDenied?.(event.event) === true || isAllowed?.(event.event) === false) return "event_not_allowed";
    if (sample !== undefined && sharePoint(event.distinct_id) >= sample) return "sampled_out";
    treatAddress?.(event);
    return null;
  };
}

/** Whole names are looked up, however many; only those with a star are tried one after the other. */
function compileNames(patterns: readonly string[]): (name: string) => boolean {
  const names = new Set(patterns.filter((pattern) => !pattern.includes("*")));
  const tests = patterns.filter((pattern) => pattern.includes("*")).map(compilePattern);
  return (name) => names.has(name) || tests.some((test) => test(name));
}
