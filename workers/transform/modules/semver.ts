/** `headwater:semver`: version numbers taken apart and compared. A leading `v` and missing minor and patch numbers are accepted. */

const VERSION_MAX_CHARS = 256;
const VERSION = /^v?(\d{1,15})(?:\.(\d{1,15}))?(?:\.(\d{1,15}))?(?:-([0-9A-Za-z.-]+))?(?:\+([0-9A-Za-z.-]+))?$/;

export interface Semver {
  major: number;
  minor: number;
  patch: number;
  /** `beta.1` of `1.0.0-beta.1`; null where there is none. */
  prerelease: string | null;
  /** What follows a `+`; null where there is none. */
  build: string | null;
}

/** Null for what is no version. */
export function parseSemver(version: unknown): Semver | null {
  if (typeof version !== "string" || version.length > VERSION_MAX_CHARS) return null;
  const match = VERSION.exec(version.trim());
  if (match === null) return null;
  const [, major, minor = 0, patch = 0, prerelease = null, build = null] = match;
  return { major: Number(major), minor: Number(minor), patch: Number(patch), prerelease, build };
}

/** Less than 0 where `a` is older, more where it is newer, 0 for the same; NaN where one is no version. */
export function compareSemver(a: unknown, b: unknown): number {
  const left = parseSemver(a);
  const right = parseSemver(b);
  if (left === null || right === null) return Number.NaN;
  return (
    left.major - right.major ||
    left.minor - right.minor ||
    left.patch - right.patch ||
    comparePrereleases(left.prerelease, right.prerelease)
  );
}

/** `app_version` of `1.2.3` → `app_version__major`, `__minor`, `__patch`, and `__preRelease`, `__build` where there are such. */
export function semverProperties(name: string, version: unknown): Record<string, number | string> {
  const parsed = parseSemver(version);
  if (parsed === null) return {};
  const { major, minor, patch, prerelease, build } = parsed;
  return Object.fromEntries([
    [`${name}__major`, major],
    [`${name}__minor`, minor],
    [`${name}__patch`, patch],
    ...(prerelease === null ? [] : [[`${name}__preRelease`, prerelease]]),
    ...(build === null ? [] : [[`${name}__build`, build]]),
  ]);
}

/** A pre-release comes before its release; parts that are numbers count as such, and come before texts. */
function comparePrereleases(a: string | null, b: string | null): number {
  if (a === b) return 0;
  if (a === null) return 1;
  if (b === null) return -1;
  const left = a.split(".");
  const right = b.split(".");
  for (let i = 0; i < Math.min(left.length, right.length); i++) {
    const order = comparePart(left[i] as string, right[i] as string);
    if (order !== 0) return order;
  }
  return left.length - right.length;
}

function comparePart(a: string, b: string): number {
  const isNumber = [/^\d+$/.test(a), /^\d+$/.test(b)];
  if (isNumber[0] && isNumber[1]) return Number(a) - Number(b);
  if (isNumber[0] !== isNumber[1]) return isNumber[0] ? -1 : 1;
  return a < b ? -1 : Number(a > b);
}
