/** What a Headwater script gets, gives and may import. Put this file beside your scripts: docs/scripts.md, "Types in your editor". */

declare module "headwater" {
  /** One thing that happened. */
  export interface Event {
    /** Kept whatever a script does with it. */
    readonly uuid: string;
    /** Name, not empty. */
    event: string;
    /** The user: 1 to 200 characters. */
    distinct_id: string;
    /** ISO 8601, UTC, the client's clock corrected. */
    timestamp: string;
    properties: Record<string, unknown>;
    $set?: Record<string, unknown>;
    $set_once?: Record<string, unknown>;
    /** The client's address. */
    ip: string | null;
    geo?: Geo;
    /** ISO 8601, UTC: when the edge accepted it. Kept whatever a script does with it. */
    readonly received_at: string;
    /** ISO 8601, UTC: when the client says that it sent it. */
    sent_at?: string;
    /** Source id, or the protocol: "posthog", "segment", … */
    source: string;
    historical?: boolean;
  }

  /** Where the event's own address is: `properties.$ip` if there is one, else `ip`. Every field may be missing. */
  export interface Geo {
    /** Two letters, ISO 3166. */
    country?: string;
    region?: string;
    city?: string;
    latitude?: number;
    longitude?: number;
    /** IANA name, such as Europe/Berlin. */
    timezone?: string;
    /** Two letters. */
    continent?: string;
  }

  /** `Inputs`: the type of the script's own settings. */
  export interface Context<Inputs = Record<string, unknown>> {
    /** The team's id. */
    readonly team: string;
    /** The script's `inputs`. Read-only. */
    readonly inputs: Readonly<Inputs>;
    /** The script's `credentials`, opened. */
    readonly credentials: Readonly<Record<string, string | undefined>>;
    /** The event's; absent where a script takes batches, and where nothing is known. */
    readonly geo?: Geo;
    /** Collects a line of text; what is no text is written as JSON. */
    log(...values: unknown[]): void;
  }

  /** What a script may return for an event: null drops it. A new object needs these; the rest is filled in. */
  export type Output = Pick<Event, "event" | "distinct_id" | "properties"> & Partial<Event>;

  export type Transform<Inputs = Record<string, unknown>> = (
    event: Event,
    ctx: Context<Inputs>,
  ) => Output | (Output | null)[] | null | undefined;

  /** Instead of `transform`: a batch of events in, and for each of them what comes of it. */
  export type TransformBatch<Inputs = Record<string, unknown>> = (
    events: Event[],
    ctx: Context<Inputs>,
  ) => (Output | (Output | null)[] | null | undefined)[];

  /** What a destination's own script may return instead of an event: the request, as far as it shall differ. */
  export interface ShapedRequest {
    /** Webhooks: where it goes. */
    url?: string;
    /** Webhooks, and records of Kafka. */
    headers?: Record<string, string>;
    /** Text goes as it is, all else as JSON. */
    body?: unknown;
    /** Kafka: the record's key. */
    key?: string | null;
    /** Kafka: the record's topic. */
    topic?: string;
  }

  /** A destination's own `transform`. */
  export type Shape<Inputs = Record<string, unknown>> = (
    event: Event,
    ctx: Context<Inputs>,
  ) => Output | ShapedRequest | (Output | ShapedRequest | null)[] | null | undefined;
}

/** Whether a user agent is a crawler's, a monitor's or a program's. */
declare module "headwater:bot" {
  /** False for what is no text, or an empty one. */
  export function isBot(userAgent: unknown): boolean;
  /** The part of the user agent that gives the bot away, such as `Googlebot`; null for people. */
  export function botName(userAgent: unknown): string | null;
}

/** Names in the way of writing that a taxonomy asks for. A leading `$`, as built-in events have it, stays. */
declare module "headwater:case" {
  /** `orderCompleted` */
  export function camelCase(name: string): string;
  /** `ORDER_COMPLETED` */
  export function constantCase(name: string): string;
  /** `order-completed` */
  export function kebabCase(name: string): string;
  /** `OrderCompleted` */
  export function pascalCase(name: string): string;
  /** `Order completed` */
  export function sentenceCase(name: string): string;
  /** `order_completed` */
  export function snakeCase(name: string): string;
  /** `Order Completed` */
  export function titleCase(name: string): string;
}

/** Where the edge saw the client, as properties. */
declare module "headwater:geo" {
  import type { Geo } from "headwater";
  /** `$geoip_country_code`, `$geoip_city_name`, … of what is known of an event, or of a place. */
  export function geoProperties(of: { geo?: Geo | undefined } | Geo | undefined): Record<string, string | number>;
}

/** Digests, at once. Text counts as UTF-8. */
declare module "headwater:hash" {
  export type Data = string | Uint8Array;
  /** Default: hex */
  export type Encoding = "hex" | "base64" | "base64url";
  export function sha256(data: Data, encoding?: Encoding): string;
  export function sha1(data: Data, encoding?: Encoding): string;
  export function md5(data: Data, encoding?: Encoding): string;
  /** What to hide personal data with: who does not know the key cannot try out addresses until one fits. */
  export function hmacSha256(key: Data, data: Data, encoding?: Encoding): string;
  export function hmacSha1(key: Data, data: Data, encoding?: Encoding): string;
  export function hmacMd5(key: Data, data: Data, encoding?: Encoding): string;
}

/** Client addresses, and what is left of them when nobody shall be found by one. */
declare module "headwater:ip" {
  export interface MaskOptions {
    /** Bits of an IPv4 address to keep. Default: 24 */
    v4?: number;
    /** Bits of an IPv6 address to keep. Default: 48 */
    v6?: number;
  }
  export function isIp(ip: unknown): boolean;
  /** Private, loopback, link-local and carrier-grade addresses. False for what is no address. */
  export function isPrivateIp(ip: unknown): boolean;
  /** The address with its last bits 0; null for what is no address. */
  export function maskIp(ip: unknown, options?: MaskOptions): string | null;
}

/** New objects out of old ones. None of these changes what it is given. */
declare module "headwater:object" {
  export type Plain = Record<string, unknown>;
  export interface FlattenOptions {
    /** Between the names of two levels. Default: `.` */
    separator?: string;
    /** Whether arrays are taken apart too, by index. Default: false */
    arrays?: boolean;
    /** Levels to go down, 32 at most. Default: 32 */
    depth?: number;
  }
  export interface RemoveNullsOptions {
    /** Empty texts go too. Default: false */
    emptyTexts?: boolean;
    /** Objects and arrays go that are empty, or become it. Default: false */
    emptyObjects?: boolean;
  }
  /** `{ a: { b: 1 } }` → `{ "a.b": 1 }`. Empty objects and arrays stay. */
  export function flatten(value: Plain, options?: FlattenOptions): Plain;
  /** Each name as `change` gives it back; null leaves it out. */
  export function mapKeys(value: Plain, change: (name: string, value: unknown) => string | null): Plain;
  /** Each value as `change` gives it back. */
  export function mapValues(value: Plain, change: (value: unknown, name: string) => unknown): Plain;
  /** All but these names. */
  export function omit(value: Plain, names: readonly string[]): Plain;
  /** Only these names. */
  export function pick(value: Plain, names: readonly string[]): Plain;
  /** Without null and undefined, at every level. */
  export function removeNulls<T>(value: T, options?: RemoveNullsOptions): T;
  /** Old names → new names; the others stay. Where two meet, the renamed one wins. */
  export function rename(value: Plain, names: Readonly<Record<string, string>>): Plain;
}

/** Values inside of objects by dotted path, such as `properties.items.0.price`. No path leads to a prototype. */
declare module "headwater:path" {
  /** The value, or `fallback` where the path leads nowhere. */
  export function getPath(from: unknown, path: string, fallback?: unknown): unknown;
  export function hasPath(from: unknown, path: string): boolean;
  /** Makes the objects on the way that are missing. False, and nothing is changed, where it cannot be put there. */
  export function setPath(into: unknown, path: string, value: unknown): boolean;
  /** Takes the value away; in an array the later ones move up. Whether there was one. */
  export function unsetPath(from: unknown, path: string): boolean;
}

/** The same users that a filter's `{ "sample": … }` takes. */
declare module "headwater:pattern" {
  /** Whether it is a text that the pattern matches as a whole; `*` stands for any run of characters. */
  export function matchesPattern(text: unknown, pattern: string): boolean;
}

declare module "headwater:sample" {
  /** Whether a user, or whatever the text names, is in this share of all (0 to 1); always in or always out. */
  export function isSampled(text: string, share: number): boolean;
  /** Where a text stands in [0, 1); the same text stands in the same place for ever. */
  export function sharePoint(text: string): number;
}

/** Version numbers taken apart and compared. A leading `v` and missing minor and patch numbers are accepted. */
declare module "headwater:semver" {
  export interface Semver {
    major: number;
    minor: number;
    patch: number;
    prerelease: string | null;
    build: string | null;
  }
  /** Less than 0 where `a` is older, more where it is newer, 0 for the same; NaN where one is no version. */
  export function compareSemver(a: unknown, b: unknown): number;
  /** Null for what is no version. */
  export function parseSemver(version: unknown): Semver | null;
  /** `app_version` of `1.2.3` → `app_version__major`, `__minor`, `__patch`, and `__preRelease`, `__build` where there are such. */
  export function semverProperties(name: string, version: unknown): Record<string, number | string>;
}

/** What a clock and a calendar show at a point in time. */
declare module "headwater:time" {
  export interface TimestampParts {
    year: number;
    /** 1 to 12 */
    month: number;
    /** 1 to 31 */
    day: number;
    /** 0 to 23 */
    hour: number;
    minute: number;
    second: number;
    /** 1 (Monday) to 7 (Sunday) */
    weekday: number;
  }
  /** `timestamp`: ISO 8601, milliseconds or a Date. `timeZone`: an IANA name, default UTC. Null for what is no time. */
  export function timestampParts(timestamp: unknown, timeZone?: string): TimestampParts | null;
}

/** Addresses read and changed; of relative ones too, except by `parseUrl` and `normalizeUrl`. */
declare module "headwater:url" {
  export interface ParsedUrl {
    href: string;
    /** Without the colon: `https` */
    protocol: string;
    /** With the port, where it is not the protocol's own. */
    host: string;
    hostname: string;
    path: string;
    /** The first value of each name. */
    query: Record<string, string>;
    /** Without `#` */
    hash: string;
  }
  export interface NormalizeOptions {
    /** Default: sort */
    query?: "sort" | "keep" | "remove";
    /** Default: remove */
    hash?: "keep" | "remove";
    /** The slash at the end of a path. Default: remove */
    trailingSlash?: "keep" | "remove";
    /** Default: false */
    lowercasePath?: boolean;
    /** `www.` before the host. Default: keep */
    www?: "keep" | "remove";
  }
  export interface CensorOptions {
    /** What comes in the place of a part. Default: `:id` */
    replacement?: string;
    /** Segments that are numbers, UUIDs, long runs of hex digits, or hold an `@`. Default: true */
    ids?: boolean;
    /** The segments that follow these, such as `["users"]` for `/users/ada`. */
    after?: readonly string[];
    /** Segments by position, from 0. */
    segments?: readonly number[];
  }
  /** Null for what is no absolute address. */
  export function parseUrl(url: unknown): ParsedUrl | null;
  /** One way of writing for addresses of the same page. What is no absolute address comes back as it is. */
  export function normalizeUrl(url: string, options?: NormalizeOptions): string;
  /** The query as an object; of several values of a name the first one. */
  export function queryParams(url: string): Record<string, string>;
  /** Null where the query does not have it. */
  export function getQuery(url: string, name: string): string | null;
  /** With these values in the query; null takes a name away. */
  export function setQuery(url: string, values: Readonly<Record<string, string | number | boolean | null>>): string;
  /** Without these names in the query, or without any query. `utm_*` takes all that begin so. */
  export function removeQuery(url: string, names?: readonly string[]): string;
  /** With `replacement` (default: redacted) for the values of these names. `utm_*` means all that begin so. */
  export function censorQuery(url: string, names: readonly string[], replacement?: string): string;
  /** With a replacement for the parts of the path that tell who somebody is, so that pages group. */
  export function censorPath(url: string, options?: CensorOptions): string;
}

/** Browser, system and device by a user agent. */
declare module "headwater:user-agent" {
  export type DeviceType = "Desktop" | "Mobile" | "Tablet" | "Console" | "TV" | "Wearable" | "Embedded";
  /** What is not known is absent. */
  export interface UserAgent {
    browser?: string;
    browser_version?: string;
    os?: string;
    os_version?: string;
    device?: string;
    device_vendor?: string;
    device_type: DeviceType;
    engine?: string;
  }
  /** Null for what is no text, or an empty one. */
  export function parseUserAgent(userAgent: unknown): UserAgent | null;
  /** `$browser`, `$browser_version`, `$os`, `$os_version`, `$device_type`, `$device`. */
  export function userAgentProperties(userAgent: unknown): Record<string, string>;
}
