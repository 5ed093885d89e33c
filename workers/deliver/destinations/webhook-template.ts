/**
 * Addresses and headers of a webhook with names in braces in place of what differs from event to event. In an address a value is
 * percent-encoded and cannot reach beyond its place: not into the host, not into another path.
 */
export interface TemplateValues {
  team: string;
  token: string;
  event: string;
  distinct_id: string;
  uuid: string;
}

const PLACEHOLDER = /\{(\w+)\}/g;
const NAMES: readonly string[] = ["team", "token", "event", "distinct_id", "uuid"] satisfies (keyof TemplateValues)[];

/** What is wrong with a template, for the one who wrote it; null where nothing is. */
export function templateProblem(template: string): string | null {
  for (const [, name] of template.matchAll(PLACEHOLDER)) {
    if (!NAMES.includes(name as string)) {
      return `{${name}} is not known: use ${NAMES.map((known) => `{${known}}`).join(", ")}`;
    }
  }
  return null;
}

/** As `templateProblem`; besides, where events go must not be for events to decide. */
export function urlTemplateProblem(template: string): string | null {
  const [, authority = ""] = /^[^/?#\\]*[/\\]{2}([^/?#\\]*)/.exec(template) ?? [];
  if (/[{}]/.test(authority)) return "must not have {…} in the host: it would let events decide where they are sent";
  return templateProblem(template);
}

/** Whether what it becomes differs between events of one team. */
export function isPerEvent(template: string): boolean {
  return [...template.matchAll(PLACEHOLDER)].some(([, name]) => name !== "team");
}

/** The address for one event; null where a value would lead to another path: "." and ".." are no names to a URL. */
export function renderUrl(template: string, values: TemplateValues): string | null {
  if (!template.includes("{")) return template;
  const url = render(template, values, encoded);
  const path = (text: string) => (/^[^?#]*/.exec(text) as [string])[0].split(/[/\\]/);
  const before = path(template);
  const moves = path(url).some((segment, i) => segment !== before[i] && DOTS.test(segment));
  return moves ? null : url;
}

const DOTS = /^(\.|%2e){1,2}$/i;

/** The header's value for one event: as it is, or percent-encoded where it is not printable ASCII. */
export function renderHeader(template: string, values: TemplateValues): string {
  if (!template.includes("{")) return template;
  return render(template, values, (value) => (/^[\x20-\x7e]*$/.test(value) ? value : encoded(value)));
}

function render(template: string, values: TemplateValues, encode: (value: string) => string): string {
  return template.replaceAll(PLACEHOLDER, (_, name: keyof TemplateValues) => encode(values[name]));
}

function encoded(value: string): string {
  // Half a surrogate pair is no character and cannot be encoded.
  return encodeURIComponent(value.toWellFormed());
}
