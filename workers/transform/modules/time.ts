/** `headwater:time`: what a clock and a calendar show at a point in time. */

/** Making one costs a thousand times what using it does. */
const ZONES_MAX_COUNT = 50;

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

const formats = new Map<string, Intl.DateTimeFormat>();

/** `timestamp`: ISO 8601, milliseconds or a Date. `timeZone`: an IANA name. Null for what is no time; throws for an unknown zone. */
export function timestampParts(timestamp: unknown, timeZone = "UTC"): TimestampParts | null {
  const ms = millisecondsOf(timestamp);
  if (!Number.isFinite(ms)) return null;
  const parts = new Map(
    formatOf(timeZone)
      .formatToParts(ms)
      .map(({ type, value }) => [type, Number(value)]),
  );
  const part = (type: string) => parts.get(type as Intl.DateTimeFormatPartTypes) as number;
  const [year, month, day] = [part("year"), part("month"), part("day")];
  const weekday = new Date(Date.UTC(year, month - 1, day)).getUTCDay() || 7;
  return { year, month, day, hour: part("hour"), minute: part("minute"), second: part("second"), weekday };
}

function millisecondsOf(timestamp: unknown): number {
  if (typeof timestamp === "string") return Date.parse(timestamp);
  if (timestamp instanceof Date) return timestamp.getTime();
  return typeof timestamp === "number" && Math.abs(timestamp) <= 8.64e15 ? timestamp : Number.NaN;
}

function formatOf(timeZone: string): Intl.DateTimeFormat {
  let format = formats.get(timeZone);
  if (format === undefined) {
    const numeric = "numeric";
    format = new Intl.DateTimeFormat("en-US", {
      ...{ timeZone, calendar: "iso8601", numberingSystem: "latn", hourCycle: "h23" },
      ...{ year: numeric, month: numeric, day: numeric, hour: numeric, minute: numeric, second: numeric },
    });
    if (formats.size >= ZONES_MAX_COUNT) formats.clear();
    formats.set(timeZone, format);
  }
  return format;
}
