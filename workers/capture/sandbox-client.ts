import { messageOf } from "../../shared/errors.ts";
import { decodeLines } from "../../shared/ndjson.ts";
import type { BundleUpload, Progress, RunResult } from "../../shared/sandbox-api.ts";
import type { Bundle } from "../../shared/snapshot.ts";

/** What became of one batch in the sandbox. */
export type RunOutcome =
  | { outcome: "ran"; result: RunResult; events: Uint8Array }
  /** The sandbox went away. `started`: while this batch ran. `progress`: the last thing that it began, in careful mode. */
  | { outcome: "died"; started: boolean; progress: Progress | null; message: string }
  /** The bundle does not load, or its scripts' credentials cannot be opened. */
  | { outcome: "broken"; message: string };

export interface RunOptions {
  careful: boolean;
  /** Scripts whose error policy applies instead of them. */
  skip: readonly string[];
  /** The same for one event each. */
  fail: readonly Progress[];
  /** Runs this destination's script alone, on events that have passed the chain before. Absent: the chain, then every destination's. */
  only?: string;
}

/** Throws where the secret cannot be opened. */
export type OpenSecret = (sealed: string) => Promise<string>;

const NEWLINE = 0x0a;

/**
 * Runs one batch (shared/sandbox-api.ts has the wire). Never throws for what a sandbox can do.
 * @param fetcher the sandbox: a service binding, or the address of the local sandbox process
 * @param open what was sealed; asked only where the sandbox does not know the bundle
 */
export async function runInSandbox(
  fetcher: { fetch: typeof fetch },
  bundle: Bundle,
  events: Uint8Array,
  options: RunOptions,
  open: OpenSecret,
): Promise<RunOutcome> {
  let started = false;
  let progress: Progress | null = null;
  try {
    let response = await post(fetcher, bundle, events, options);
    if (response.status === 404) {
      await response.arrayBuffer();
      const credentials = await openCredentials(bundle, open);
      if (credentials instanceof Error) return { outcome: "broken", message: credentials.message };
      const upload: BundleUpload = { bundle, credentials };
      const put = await fetcher.fetch(`http://sandbox/bundles/${bundle.hash}`, {
        method: "PUT",
        body: JSON.stringify(upload),
      });
      const text = await put.text();
      if (!put.ok) return { outcome: "broken", message: text };
      response = await post(fetcher, bundle, events, options);
    }
    if (response.status === 422) return { outcome: "broken", message: await response.text() };
    if (response.status !== 200) {
      return {
        outcome: "died",
        started: false,
        progress,
        message: `the sandbox answered ${response.status}: ${await response.text()}`,
      };
    }
    started = true;
    const body = options.careful
      ? await readCareful(response, (line) => {
          progress = line;
        })
      : new Uint8Array(await response.arrayBuffer());
    const border = body.indexOf(NEWLINE);
    const head = border === -1 ? body : body.subarray(0, border);
    const result = JSON.parse(new TextDecoder().decode(head)) as RunResult;
    return { outcome: "ran", result, events: border === -1 ? body.subarray(0, 0) : body.subarray(border + 1) };
  } catch (error) {
    return { outcome: "died", started, progress, message: messageOf(error) };
  }
}

/** By script, then by name. An error where any of them cannot be opened. */
async function openCredentials(bundle: Bundle, open: OpenSecret): Promise<BundleUpload["credentials"] | Error> {
  const sealed = [...bundle.scripts, ...Object.values(bundle.shapers ?? {})];
  const credentials: BundleUpload["credentials"] = {};
  try {
    await Promise.all(
      sealed.flatMap(({ id, credentials: own }) => {
        if (own === undefined) return [];
        const opened: Record<string, string> = {};
        credentials[id] = opened;
        return Object.entries(own).map(async ([name, secret]) => {
          opened[name] = await open(secret);
        });
      }),
    );
  } catch (error) {
    return new Error(`a credential of theirs cannot be opened: ${messageOf(error)}`);
  }
  return credentials;
}

function post(
  fetcher: { fetch: typeof fetch },
  bundle: Bundle,
  events: Uint8Array,
  options: RunOptions,
): Promise<Response> {
  const query = new URLSearchParams();
  if (options.careful) query.set("careful", "1");
  for (const script of options.skip) query.append("skip", script);
  for (const { event, script } of options.fail) query.append("fail", `${event}:${script}`);
  if (options.only !== undefined) query.set("only", options.only);
  const search = query.size > 0 ? `?${query}` : "";
  return fetcher.fetch(`http://sandbox/run/${bundle.hash}${search}`, { method: "POST", body: events });
}

/** Reports each progress line as it arrives; returns the rest. */
async function readCareful(response: Response, report: (progress: Progress) => void): Promise<Uint8Array> {
  if (response.body === null) throw new Error("the sandbox answered without a body");
  const reader = response.body.getReader() as ReadableStreamDefaultReader<Uint8Array>;
  let held: Uint8Array = new Uint8Array(0);
  let reporting = true;
  for (;;) {
    const { done, value } = await reader.read();
    if (done) return held;
    const all: Uint8Array = new Uint8Array(held.length + value.length);
    all.set(held);
    all.set(value, held.length);
    held = all;
    for (let border = held.indexOf(NEWLINE); reporting && border !== -1; border = held.indexOf(NEWLINE)) {
      const [line] = decodeLines(held.subarray(0, border));
      const parsed = JSON.parse(line as string) as Progress | RunResult;
      if ("sources" in parsed) reporting = false;
      else {
        report(parsed);
        held = held.subarray(border + 1);
      }
    }
  }
}
