import { existsSync, readdirSync, readFileSync } from "node:fs";
import { dirname, join } from "node:path";
import { describe, expect, it } from "vitest";
import type { z } from "zod";
import { USAGE } from "../runtime/options.ts";
import { DEFAULT_SUPERVISOR_LIMITS } from "../runtime/supervisor.ts";
import { items, parseConfig, scriptsIn } from "../shared/config.ts";
import { isObject } from "../shared/secret-fields.ts";
import { HOSTILE_GROUPS } from "../test/e2e/hostile/registry.ts";
import { DEFAULT_ADMISSION_LIMITS } from "../workers/capture/admission.ts";
import { DEFAULT_LIMITS } from "../workers/capture/decode/limits.ts";
import { DEFAULT_WINDOW_S } from "../workers/capture/dedupe.ts";
import { DEFAULT_GROUP_COMMIT_LIMITS } from "../workers/capture/group-commit.ts";
import { hostEndpoints } from "../workers/capture/host-endpoints/registry.ts";
import { DEFAULT_LANE_LIMITS } from "../workers/capture/lane.ts";
import { PROTOCOLS } from "../workers/capture/protocols/registry.ts";
import { DEFAULT_QUARANTINE_LIMITS } from "../workers/capture/quarantine.ts";
import { DEFAULT_DAILY_QUOTAS } from "../workers/capture/quota/daily-quotas.ts";
import { DEFAULT_REDIS_LIMITS } from "../workers/capture/quota/redis-limits.ts";
import { KILLS_BEFORE_QUARANTINE } from "../workers/capture/script-health.ts";
import { TEMPLATES } from "../workers/console/generated/templates.ts";
import { DEFAULT_BREAKER_LIMITS } from "../workers/deliver/breaker.ts";
import { DEFAULT_DEAD_LETTER_LIMITS } from "../workers/deliver/dead-letters.ts";
import { DEFAULT_BACKLOG_BYTES } from "../workers/deliver/destinations/common-settings.ts";
import { KEPT_RESPONSE_BYTES } from "../workers/deliver/destinations/http-answer.ts";
import { kafka } from "../workers/deliver/destinations/kafka.ts";
import { confluentV2Settings } from "../workers/deliver/destinations/kafka-confluent-v2.ts";
import { confluentV3Settings } from "../workers/deliver/destinations/kafka-confluent-v3.ts";
import { strimziSettings } from "../workers/deliver/destinations/kafka-strimzi.ts";
import { tcpSettings } from "../workers/deliver/destinations/kafka-tcp.ts";
import { upstashSettings } from "../workers/deliver/destinations/kafka-upstash.ts";
import { destinationKind, destinationKinds } from "../workers/deliver/destinations/registry.ts";
import { MAX_RETRY_AFTER_MS } from "../workers/deliver/retry.ts";
import { MISSING_META } from "../workers/transform/compat/isolate/parts/posthog-meta.ts";
import { POSTHOG_IMPORTS, POSTHOG_REFUSED_CALLS } from "../workers/transform/compat/posthog-dialect.ts";
import { RUDDERSTACK_IMPORTS } from "../workers/transform/compat/rudderstack-dialect.ts";
import { compileBundle } from "../workers/transform/compile.ts";
import { DEFAULT_CHAIN_LIMITS } from "../workers/transform/isolate/chain.ts";
import { hostileTable } from "./hostile-table.ts";
import { settingsTable } from "./settings-table.ts";

const root = dirname(import.meta.dirname);
const source = (path: string) => readFileSync(join(root, path), "utf8");
/** Pages without the spaces that align their tables. */
const read = (path: string) =>
  path.endsWith(".md")
    ? source(path).replaceAll(/^\|.*\|$/gm, (row) =>
        row.replaceAll(/ {2,}/g, " ").replaceAll(/(?<=\| )-{3,}(?= \|)/g, "---"),
      )
    : source(path);
const pages = [
  "README.md",
  "CONTRIBUTING.md",
  ...readdirSync(join(root, "docs"), { recursive: true })
    .map((path) => join("docs", String(path)))
    .filter((path) => path.endsWith(".md")),
].map((path) => ({ path, text: read(path) }));
const page = (name: string) => read(join("docs", name));

/** Contents of the fenced blocks of a language. */
function blocks(text: string, language: string): string[] {
  return [...text.matchAll(/^ *```(\w+)\n([\s\S]*?)^ *```$/gm)].filter(([, l]) => l === language).map(([, , b]) => b!);
}

function anchorsOf(text: string): string[] {
  return [...text.matchAll(/^#+ (.+)$/gm)].map(([, title]) =>
    title!
      .toLowerCase()
      .replaceAll(/[^\w\- ]/g, "")
      .replaceAll(" ", "-"),
  );
}

const matches = (text: string, pattern: RegExp) => [...new Set([...text.matchAll(pattern)].map(([, found]) => found!))];

describe("every page", () => {
  it.each(pages)("$path links to what exists", ({ path, text }) => {
    const prose = text.replaceAll(/^ *```[\s\S]*?^ *```$/gm, "");
    for (const [, link] of prose.matchAll(/\]\(([^)\s]+)\)/g)) {
      if (/^https?:/.test(link!)) continue;
      const [file, anchor] = link!.split("#");
      const target = file === "" ? path : join(dirname(path), file!);
      expect(existsSync(join(root, target)), `${path}: ${link}`).toBe(true);
      if (anchor !== undefined) expect(anchorsOf(read(target)), `${path}: ${link}`).toContain(anchor);
    }
  });

  it.each(pages)("$path names npm scripts that exist", ({ text }) => {
    const { scripts } = JSON.parse(read("package.json")) as { scripts: Record<string, string> };
    for (const name of matches(text, /npm run (?:--silent |-s )?([a-z][\w-]*)/g)) expect(scripts).toHaveProperty(name);
  });

  it.each(pages)("$path has JSON that is JSON, and configurations that are accepted", ({ text }) => {
    for (const block of blocks(text, "json")) {
      // A block may hold one JSON value a line.
      const values = isJson(block) ? [block] : block.trim().split("\n");
      for (const value of values.map((json) => JSON.parse(json) as unknown)) {
        if (!isConfiguration(value)) continue;
        for (const [, team] of items(value, "teams")) {
          for (const { script } of scriptsIn(team)) script.code ??= "export function transform() {}";
          for (const [, { verify }] of items(team, "sources")) if (isObject(verify)) verify.secret = "secret";
          for (const [, destination] of items(team, "destinations")) delete destination.signing_secret;
        }
        expect(() => parseConfig(value, destinationKinds)).not.toThrow();
      }
    }
  });

  it.each(pages)("$path has scripts that compile", async ({ text }) => {
    for (const code of [...blocks(text, "ts"), ...blocks(text, "js")]) {
      if (!/export (async )?function (transform|processEvent)/.test(code)) continue;
      const script = { id: "script", code, on_error: "pass" as const, inputs: {} };
      await expect(compileBundle({ team: "acme", scripts: [script], filters: {} })).resolves.toBeDefined();
    }
  });
});

function isJson(text: string): boolean {
  try {
    JSON.parse(text);
    return true;
  } catch {
    return false;
  }
}

/** The document that PUT takes; an answer's teams have versions. */
function isConfiguration(value: unknown): boolean {
  const [first] = items(value, "teams");
  return first !== undefined && !("version" in first[1]);
}

/** The paths of a marked table of http.md. */
function listedPaths(marker: string): string[] {
  const [, table] =
    new RegExp(`<!-- ${marker}:start -->([\\s\\S]*?)<!-- ${marker}:end -->`).exec(page("http.md")) ?? [];
  return [...table!.matchAll(/^\| (`[^|]+) \|/gm)].flatMap(([, cell]) => matches(cell!, /`(\/[^`]*)`/g)).sort();
}

describe("http.md", () => {
  it("has the console's routes, all and no other", () => {
    const served = [...read("workers/console/router.ts").matchAll(/method: "(\w+)", path: "([^"]+)"/g)];
    const routes = served.map(([, method, path]) => `${method} ${path}`);
    expect(routes.length).toBeGreaterThan(5);
    expect(matches(page("http.md"), /^### ((?:GET|PUT|POST|DELETE) .+)$/gm).sort()).toEqual(routes.sort());
  });

  it("has capture's paths, all and no other", () => {
    const paths = PROTOCOLS.flatMap(({ routes }) => routes.map(({ path }) => path));
    const health = ["/", "/_liveness", "/_readiness"];
    expect(listedPaths("paths")).toEqual([...new Set([...paths, ...health])].sort());
  });

  it("has the paths beside events, all and no other", () => {
    const paths = hostEndpoints(null).map(({ path }) => path);
    expect(listedPaths("host")).toEqual(paths.sort());
  });

  it("has v1's errors, and its reasons to drop an event", () => {
    const protocol = read("workers/capture/protocols/posthog-v1.ts");
    const [, codes] = /const CODES[^{]*\{([\s\S]*?)\n\}/.exec(protocol) ?? [];
    const errors = matches(codes!, /: "(\w+)"/g);
    const event = read("workers/capture/protocols/posthog-v1-event.ts");
    const reasons = [...matches(event, /dropped\(raw, "(\w+)"/g), ...matches(protocol, /return "(\w+)";/g)];
    expect([errors.length > 5, reasons.length > 5]).toEqual([true, true]);
    for (const name of [...errors, ...reasons]) expect(page("http.md")).toContain(`\`${name}\``);
  });

  it("has the metrics, all and no other", () => {
    const metrics = matches(read("workers/console/api/metrics.ts"), /"(headwater_\w+)"/g);
    expect(matches(page("http.md"), /`(headwater_\w+)`/g).sort()).toEqual(metrics.sort());
  });

  it("has the texts of capture's errors", () => {
    const texts = [...read("workers/capture/errors.ts").matchAll(/super\(\s*"\w+",\s*\d+,\s*["`]([^"`$]+)/g)];
    expect(texts.length).toBeGreaterThan(8);
    for (const [, text] of texts) expect(page("http.md")).toContain(text!.trim());
  });
});

describe("operations.md", () => {
  it("has the flags and variables, all and no other", () => {
    const known = `${USAGE} ${read("runtime/start.ts")}`;
    // What the text of the usage mentions as an npm command is no flag.
    const flags = matches(USAGE, /^ {2}(--[a-z-]+)/gm);
    const variables = matches(known, /(HEADWATER_[A-Z_]+)/g);
    const table = page("operations.md").split("## Processes")[0]!;
    expect(matches(table, /^\| `(--[a-z-]+)`/gm).sort()).toEqual(flags.sort());
    expect(matches(table, /`(HEADWATER_[A-Z_]+)/g).sort()).toEqual(variables.sort());
  });

  it("names the variables that workers read, all and no other", () => {
    const env = ["workers/capture/env.ts", "workers/deliver/env.ts"].map(read).join("");
    const named = matches(page("operations.md"), /HEADWATER_VAR_([A-Z]\w+)/g);
    expect(named.sort()).toEqual(matches(env, /^ {2}(\w+)\?: string;/gm).sort());
  });

  it("has limits as the code has them", () => {
    const rows = [...page("operations.md").matchAll(/^\| [^|]+ \| ([\d,]+) \| \w+ \| `([A-Z_]+)(?:\.(\w+))?`/gm)];
    expect(rows.length).toBeGreaterThan(25);
    for (const [, value, name, field] of rows) {
      const constant = LIMITS[name!];
      const actual = typeof constant === "object" ? (constant as Record<string, number>)[field!] : constant;
      expect(actual, `${name}.${field}`).toBe(Number(value!.replaceAll(",", "")));
    }
  });
});

const [, isolates] = /DEFAULT_ISOLATE_COUNT = (\d+)/.exec(read("workers/transform/isolates.ts")) ?? [];
const LIMITS: Record<string, object | number> = {
  ...{ DEFAULT_LIMITS, DEFAULT_GROUP_COMMIT_LIMITS, DEFAULT_ADMISSION_LIMITS, DEFAULT_LANE_LIMITS },
  ...{
    DEFAULT_CHAIN_LIMITS,
    KILLS_BEFORE_QUARANTINE,
    DEFAULT_QUARANTINE_LIMITS,
    DEFAULT_SUPERVISOR_LIMITS,
    DEFAULT_BACKLOG_BYTES,
  },
  ...{ DEFAULT_REDIS_LIMITS, DEFAULT_DAILY_QUOTAS, DEFAULT_WINDOW_S },
  ...{ DEFAULT_BREAKER_LIMITS, MAX_RETRY_AFTER_MS, DEFAULT_DEAD_LETTER_LIMITS, KEPT_RESPONSE_BYTES },
  // Its module needs the built isolate.
  DEFAULT_ISOLATE_COUNT: Number(isolates),
};

describe("destinations.md", () => {
  const rowsOf = (schema: z.ZodType) => settingsTable(schema, kafka.secrets).split("\n");
  const overHttp = [confluentV3Settings, confluentV2Settings, strimziSettings];
  const [first = [], ...others] = [tcpSettings, ...overHttp, upstashSettings].map(rowsOf);
  const shared = first.filter((row) => others.every((rows) => rows.includes(row)));
  /** What these protocols of kafka have beside what all have. */
  const ownTable = (...schemas: z.ZodType[]) => {
    const rows = schemas.flatMap(rowsOf).filter((row) => !shared.includes(row) && !row.startsWith("| `protocol`"));
    return [...shared.slice(0, 2), ...new Set(rows)].join("\n");
  };

  it.each([
    ["webhook", settingsTable(destinationKind("webhook")!.settings, destinationKind("webhook")!.secrets)],
    ["s3", settingsTable(destinationKind("s3")!.settings, destinationKind("s3")!.secrets)],
    ["terminal", settingsTable(destinationKind("terminal")!.settings, [])],
    ["kafka", shared.join("\n")],
    ["kafka tcp", ownTable(tcpSettings)],
    ["kafka http", ownTable(...overHttp)],
  ])("has the settings of %s as their schema has them", (kind, table) => {
    const [, written] =
      new RegExp(`<!-- settings:${kind} -->\\n([\\s\\S]*?)\\n<!-- /settings`).exec(page("destinations.md")) ?? [];
    expect(written).toBe(table);
  });

  it("has no setting of upstash's but that auth is required", () => {
    expect(ownTable(upstashSettings).replaceAll(/(`auth\.\w+` \| )required/g, "$1none")).toBe(
      ownTable(strimziSettings),
    );
  });

  it("has every kind", () => {
    for (const { kind } of destinationKinds) expect(page("destinations.md")).toContain(`## ${kind}\n`);
  });
});

describe("scripts.md", () => {
  it("has what scripts of other products may import, and what cannot work", () => {
    const [, section] = page("scripts.md").split("## Scripts from PostHog and RudderStack");
    const names = [
      ...Object.keys({ ...POSTHOG_IMPORTS, ...RUDDERSTACK_IMPORTS, ...POSTHOG_REFUSED_CALLS }),
      ...Object.keys(MISSING_META).map((name) => `meta.${name}`),
    ];
    for (const name of names) expect(section).toContain(`\`${name}\``);
  });

  it("has every operator of filters", () => {
    const [, operators] = /const operators = \{([\s\S]*?)\n\}/.exec(read("shared/filter-schema.ts")) ?? [];
    const table = page("scripts.md").split("| operator |")[1]!;
    for (const name of matches(operators!, /(\w+): /g)) expect(table).toContain(`\`${name}\``);
  });

  it("has every hostile script, and how it ends", () => {
    const [, written] = /<!-- hostile -->\n([\s\S]*?)\n<!-- \/hostile -->/.exec(page("scripts.md")) ?? [];
    expect(written).toBe(hostileTable(HOSTILE_GROUPS));
  });

  it("has budgets as the code has them", () => {
    const rows = [...page("scripts.md").matchAll(/\| ([\d,]+) [^|]*\(`DEFAULT_CHAIN_LIMITS\.(\w+)`\)/g)];
    expect(rows).toHaveLength(5);
    for (const [, value, field] of rows) {
      expect((DEFAULT_CHAIN_LIMITS as unknown as Record<string, number>)[field!]).toBe(
        Number(value!.replaceAll(",", "")),
      );
    }
  });
});

describe("invariants.md", () => {
  const rows = [...page("invariants.md").matchAll(/^\| (\d) \| ([^|]+) \| `([^`|]+)` \|$/gm)].map(
    ([, number, name, file]) => ({ number: number!, name: name!, file: file! }),
  );

  it("has all eight", () => {
    expect([...new Set(rows.map(({ number }) => number))].join("")).toBe("12345678");
  });

  it.each(rows)("$number: $file has a test of that name and number: $name", ({ number, name, file }) => {
    const named = read(file)
      .split("\n")
      .filter((line) => line.includes(name));
    expect(named).toHaveLength(1);
    expect(named[0]).toMatch(new RegExp(`invariants? [\\d, and]*${number}`));
  });

  it("names code that exists", () => {
    for (const file of matches(page("invariants.md"), /`((?:workers|shared|runtime)\/[^`]+)`/g)) {
      expect(existsSync(join(root, file)), file).toBe(true);
    }
  });
});

describe("scripts.md on templates", () => {
  it.each(TEMPLATES)("has the template $id", ({ id, description }) => {
    expect(page("scripts.md")).toContain(`| \`${id}\` | ${description} |`);
  });
});
