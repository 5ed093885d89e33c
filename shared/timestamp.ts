/** Instants as text. Both directions run once or twice an event, so the usual form is read and written without a `Date`. */
const SECOND_MS = 1_000;
const MINUTE_MS = 60 * SECOND_MS;
export const HOUR_MS = 60 * MINUTE_MS;
const DAY_MS = 24 * HOUR_MS;

const ZERO = 0x30;
const HYPHEN = 0x2d;
const COLON = 0x3a;
const DOT = 0x2e;
const UPPER_T = 0x54;
const UPPER_Z = 0x5a;
const SECONDS_FORM_LENGTH = "2026-01-02T03:04:05Z".length;
const CANONICAL_LENGTH = "2026-01-02T03:04:05.678Z".length;

/** A bare number at or past this is milliseconds since the epoch, below it seconds: 1973 in one reading, the year 5138 in the other. */
const EPOCH_MS_FROM = 100_000_000_000;

const TWO_DIGITS = Array.from({ length: 100 }, (_, value) => String(value).padStart(2, "0"));
const THREE_DIGITS = Array.from({ length: 1000 }, (_, value) => String(value).padStart(3, "0"));
const MONTHS = ["jan", "feb", "mar", "apr", "may", "jun", "jul", "aug", "sep", "oct", "nov", "dec"];

const CLOCK = String.raw`(\d{1,2}):(\d{2})(?::(\d{2})(?:[.,](\d+))?)?`;
const ZONE = String.raw`\s*(z|utc?|gmt|[+-]\d{2}(?::?\d{2})?)?`;
const YEAR_FIRST = new RegExp(String.raw`^(\d{4})([-/])(\d{1,2})\2(\d{1,2})(?:(?:t|\s+)${CLOCK}${ZONE})?$`, "i");
const YEAR_LAST = new RegExp(String.raw`^(\d{1,2})/(\d{1,2})/(\d{4})(?:\s+${CLOCK}${ZONE})?$`, "i");
const MAIL = new RegExp(String.raw`^(?:[a-z]{3},\s*)?(\d{1,2})\s+([a-z]{3})\s+(\d{4})\s+${CLOCK}${ZONE}$`, "i");
const EPOCH = /^[+-]?\d+(?:\.\d+)?$/;
/** Longer than any timestamp: keeps the expressions above away from long texts. */
const LONGEST_TEXT = 64;

/**
 * Milliseconds since the epoch, or null where the text is no instant. Reads RFC 3339 (with `+03` for `+03:00`), dates alone, slashed
 * dates (year first, or month/day/year), RFC 2822, and epoch seconds or milliseconds. Without a zone it is UTC. Precision below a
 * millisecond is cut off.
 */
export function parseTimestamp(text: string): number | null {
  return parseUsual(text) ?? parseOther(text);
}

/** `YYYY-MM-DDTHH:MM:SSZ` with or without three decimals: what the SDKs of browsers, phones and Node send. */
function parseUsual(text: string): number | null {
  const length = text.length;
  const decimals = length === CANONICAL_LENGTH;
  if (!decimals && length !== SECONDS_FORM_LENGTH) return null;
  if (
    text.charCodeAt(4) !== HYPHEN ||
    text.charCodeAt(7) !== HYPHEN ||
    text.charCodeAt(10) !== UPPER_T ||
    text.charCodeAt(13) !== COLON ||
    text.charCodeAt(16) !== COLON ||
    text.charCodeAt(length - 1) !== UPPER_Z
  ) {
    return null;
  }
  const year = twoDigits(text, 0) * 100 + twoDigits(text, 2);
  let ms = 0;
  if (decimals) {
    if (text.charCodeAt(19) !== DOT) return null;
    ms = twoDigits(text, 20) * 10 + oneDigit(text, 22);
  }
  const [month, day] = [twoDigits(text, 5), twoDigits(text, 8)];
  const instant = utcMs(year, month, day, twoDigits(text, 11), twoDigits(text, 14), twoDigits(text, 17)) + ms;
  return Number.isNaN(instant) ? null : instant;
}

function oneDigit(text: string, at: number): number {
  const digit = text.charCodeAt(at) - ZERO;
  return digit >= 0 && digit <= 9 ? digit : Number.NaN;
}

function twoDigits(text: string, at: number): number {
  return oneDigit(text, at) * 10 + oneDigit(text, at + 1);
}

function parseOther(given: string): number | null {
  if (given.length > LONGEST_TEXT) return null;
  const text = given.trim();
  if (EPOCH.test(text)) {
    const epoch = Number(text);
    return Math.trunc(Math.abs(epoch) >= EPOCH_MS_FROM ? epoch : epoch * SECOND_MS);
  }
  let match = YEAR_FIRST.exec(text);
  if (match !== null) return civil(match[1], Number(match[3]), match[4], match.slice(5));
  match = YEAR_LAST.exec(text);
  if (match !== null) return civil(match[3], Number(match[1]), match[2], match.slice(4));
  match = MAIL.exec(text);
  if (match === null) return null;
  return civil(match[3], MONTHS.indexOf((match[2] as string).toLowerCase()) + 1, match[1], match.slice(4));
}

/** `clock`: hours, minutes, seconds, decimals, zone; each may be missing. */
function civil(
  year: string | undefined,
  month: number,
  day: string | undefined,
  clock: (string | undefined)[],
): number | null {
  const [hours = "0", minutes = "0", seconds = "0", decimals = "", zone = "z"] = clock;
  const ms = Number(decimals.slice(0, 3).padEnd(3, "0"));
  const instant = utcMs(Number(year), month, Number(day), Number(hours), Number(minutes), Number(seconds)) + ms;
  const local = instant - zoneMs(zone);
  return Number.isNaN(local) ? null : local;
}

/** How far a zone is ahead of UTC; NaN where no clock can be. */
function zoneMs(zone: string): number {
  const sign = zone.startsWith("+") ? 1 : zone.startsWith("-") ? -1 : 0;
  if (sign === 0) return 0;
  const digits = zone.slice(1).replace(":", "");
  const [hours, minutes] = [Number(digits.slice(0, 2)), Number(digits.slice(2) || "0")];
  return hours <= 23 && minutes <= 59 ? sign * (hours * HOUR_MS + minutes * MINUTE_MS) : Number.NaN;
}

/** NaN where a part is out of its range; a leap second becomes the second after. Proleptic Gregorian calendar. */
function utcMs(year: number, month: number, day: number, hours: number, minutes: number, seconds: number): number {
  const fits = month >= 1 && month <= 12 && day >= 1 && hours <= 23 && minutes <= 59 && seconds <= 60;
  if (!fits || day > daysInMonth(year, month)) return Number.NaN;
  return daysSinceEpoch(year, month, day) * DAY_MS + hours * HOUR_MS + minutes * MINUTE_MS + seconds * SECOND_MS;
}

function daysInMonth(year: number, month: number): number {
  if (month !== 2) return month === 4 || month === 6 || month === 9 || month === 11 ? 30 : 31;
  return year % 4 === 0 && (year % 100 !== 0 || year % 400 === 0) ? 29 : 28;
}

/** Counts in years that begin in March, so that a leap day is the last day of its year. */
function daysSinceEpoch(year: number, month: number, day: number): number {
  const marchYear = month > 2 ? year : year - 1;
  const marchMonth = month > 2 ? month - 3 : month + 9;
  const leapDays = Math.floor(marchYear / 4) - Math.floor(marchYear / 100) + Math.floor(marchYear / 400);
  const dayOfYear = Math.floor((153 * marchMonth + 2) / 5) + day - 1;
  return marchYear * 365 + leapDays + dayOfYear - DAYS_TO_EPOCH;
}

/** From 1 March of year 0 to 1 January 1970. */
const DAYS_TO_EPOCH = 719_468;

/** The date text of the day that was formatted last: a batch's events nearly always share it. */
let memoDay = Number.NaN;
let memoDate = "";

/** `2026-01-02T03:04:05.678Z`. `ms`: an integer within the years 0 to 9999. */
export function formatTimestamp(ms: number): string {
  const day = Math.floor(ms / DAY_MS);
  if (day !== memoDay) {
    memoDate = new Date(day * DAY_MS).toISOString().slice(0, "2026-01-02T".length);
    memoDay = day;
  }
  let rest = ms - day * DAY_MS;
  const millis = rest % 1000;
  rest = (rest - millis) / 1000;
  const seconds = rest % 60;
  rest = (rest - seconds) / 60;
  const minutes = rest % 60;
  const clock = `${TWO_DIGITS[(rest - minutes) / 60]}:${TWO_DIGITS[minutes]}:${TWO_DIGITS[seconds]}`;
  return `${memoDate}${clock}.${THREE_DIGITS[millis]}Z`;
}
