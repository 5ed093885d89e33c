/** Names of an archive's objects: what they are called says what is in them, and says the same each time. */
export interface KeyNames {
  team: string;
  destination: string;
}

/** Of an object's events, by `received_at`; milliseconds since the epoch, both included. */
export interface Span {
  from: number;
  to: number;
}

const TIME_VARIABLES = ["yyyy", "mm", "dd", "hh"] as const;
const NAME_VARIABLES = ["team", "destination"];
const VARIABLE = /\{([^{}]*)\}/g;

/** Null where the prefix can be used. */
export function prefixProblem(prefix: string): string | null {
  const names = [...prefix.matchAll(VARIABLE)].map(([, name]) => name as string);
  const unknown = names.find((name) => !NAME_VARIABLES.includes(name) && !TIME_VARIABLES.includes(name as "yyyy"));
  if (unknown !== undefined) return `holds {${unknown}}: there are {team}, {destination}, {yyyy}, {mm}, {dd} and {hh}`;
  const times = names.filter((name) => TIME_VARIABLES.includes(name as "yyyy"));
  // In this order the keys of an archive stand in the order of time, which a replay reads it by.
  if (times.some((name, i) => name !== TIME_VARIABLES[i])) return "must have {yyyy}, {mm}, {dd} and {hh} in this order";
  if (!/^[\w!.=/-]*$/.test(prefix.replaceAll(VARIABLE, ""))) return "may hold letters, digits and !_.=/- only";
  return prefix.startsWith("/") ? "must not begin with /" : null;
}

/** `id` is the request's: another try of the same events gets the same key. */
export function objectKey(prefix: string, names: KeyNames, span: Span, id: string, extension: string): string {
  return `${filled(prefix, names, span.from)}${compact(span.from)}-${compact(span.to)}-${id}.${extension}`;
}

/** Where keys of this archive begin, and the first one that may hold events of `since` or later. */
export function listFrom(prefix: string, names: KeyNames, since: number): { prefix: string; startAfter: string } {
  const border = prefix.search(/\{(yyyy)\}/);
  const fixed = filled(border === -1 ? prefix : prefix.slice(0, border), names, 0);
  const earliest = Math.max(0, since - SPAN_MAX_MS);
  const startAfter = border === -1 ? `${fixed}${compact(earliest)}` : filled(prefix, names, earliest);
  return { prefix: fixed, startAfter };
}

/** What an object's name says; null for an object that is not of an archive. */
export function spanOf(key: string): Span | null {
  const match = /(?:^|\/|[^\dTZ])(\d{8}T\d{9}Z)-(\d{8}T\d{9}Z)-[^/]*\.ndjson(\.gz)?$/.exec(key);
  if (match === null) return null;
  return { from: fromCompact(match[1] as string), to: fromCompact(match[2] as string) };
}

/** An object may hold events that waited in a lane or in the outbox: none does so for longer. */
const SPAN_MAX_MS = 15 * 86_400_000;

function filled(prefix: string, { team, destination }: KeyNames, at: number): string {
  const [date, time] = new Date(at).toISOString().split("T") as [string, string];
  const [yyyy, mm, dd] = date.split("-");
  const values: Record<string, string | undefined> = { team, destination, yyyy, mm, dd, hh: time.slice(0, 2) };
  return prefix.replaceAll(VARIABLE, (_, name: string) => values[name] ?? "");
}

/** 20260131T120000123Z: sorts by time, and is a good file name everywhere. */
function compact(at: number): string {
  return new Date(at).toISOString().replaceAll(/[-:.]/g, "");
}

function fromCompact(text: string): number {
  const [, y, mo, d, h, mi, s, ms] = /^(\d{4})(\d\d)(\d\d)T(\d\d)(\d\d)(\d\d)(\d{3})Z$/.exec(text) ?? [];
  return Date.UTC(Number(y), Number(mo) - 1, Number(d), Number(h), Number(mi), Number(s), Number(ms));
}
