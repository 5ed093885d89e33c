import { basename, dirname, join } from "node:path";
import { z } from "zod";
import { pathText } from "../../shared/config-error.ts";
import type { Event } from "../../shared/event.ts";
import { completeEvent, SampleEventSchema } from "../../workers/console/sample-event.ts";
import { CliError } from "./cli-error.ts";

/** Events for a team's scripts to run on, from a file `<name>.events.json`; what must come of them is in `<name>.expected.json`. */
export interface Fixture {
  /** Path of the events. */
  path: string;
  /** Path of what is expected. */
  expectedPath: string;
  /** Absent where the file does not say: the only team of the configuration. */
  team?: string | undefined;
  /** One script to run alone; absent: the team's whole chain. */
  transformation?: string | undefined;
  events: Event[];
}

export const EVENTS_SUFFIX = ".events.json";
const EXPECTED_SUFFIX = ".expected.json";
const FixtureSchema = z.union([
  z.array(SampleEventSchema).transform((events) => ({ events, team: undefined, transformation: undefined })),
  z.strictObject({
    team: z.string().optional(),
    transformation: z.string().optional(),
    events: z.array(SampleEventSchema),
  }),
]);

/** Reads the text of a fixture and fills in what its events leave out. Throws `CliError` that names the file and the place in it. */
export function parseFixture(path: string, text: string): Fixture {
  const parsed = FixtureSchema.safeParse(json(path, text));
  if (!parsed.success) throw new CliError(`${path}: ${describe(parsed.error)}`);
  const { team, transformation, events } = parsed.data;
  const name = basename(path, EVENTS_SUFFIX);
  return {
    path,
    expectedPath: join(dirname(path), name + EXPECTED_SUFFIX),
    team,
    transformation,
    events: events.map((event, index) => completeEvent(event, name, index)),
  };
}

export function json(path: string, text: string): unknown {
  try {
    return JSON.parse(text);
  } catch (error) {
    throw new CliError(`${path}: not JSON: ${(error as Error).message}`);
  }
}

/** The first problem of the branch that got furthest. */
function describe(error: z.ZodError): string {
  const [issue] = error.issues;
  if (issue?.code === "invalid_union") {
    const branch = issue.errors.find((issues) => issues.some(({ path }) => path.length > 0)) ?? issue.errors[0] ?? [];
    const [inner] = branch;
    if (inner !== undefined) return `${pathText([...issue.path, ...inner.path])}: ${inner.message}`;
  }
  return `${pathText(issue?.path ?? [])}: ${issue?.message ?? "not a fixture"}`;
}
