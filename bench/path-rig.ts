import { type Headwater, startHeadwater } from "../test/e2e/headwater.ts";
import { sleep, until } from "../test/e2e/wait.ts";
import { refuseOtherThan200 } from "./checks.ts";
import { BatchTemplate } from "./events.ts";
import { type LoadResult, load, percentile } from "./load.ts";
import { SCRIPT } from "./script.ts";
import { type Sink, startSink } from "./sink.ts";

const BATCH = 100;
const DRAIN_TIMEOUT_MS = 300_000;
/** A backlog smaller than this share of the load says little about how fast it drains. */
const BACKLOG_SHARE = 0.1;
/** Capture → one script → one local webhook in batches of 100, beside a team without a destination. */
export class PathRig {
  readonly headwater: Headwater;
  readonly sink: Sink;
  /** Answer times by request, ms since the epoch. */
  readonly #answered: number[] = [];
  readonly #requests: BatchTemplate;
  readonly #captureOnly: BatchTemplate;

  private constructor(headwater: Headwater, sink: Sink) {
    this.headwater = headwater;
    this.sink = sink;
    this.#requests = new BatchTemplate(headwater.capture, "phc_path", BATCH);
    this.#captureOnly = new BatchTemplate(headwater.capture, "phc_still", BATCH);
  }

  /** `fair: false` lets capture starve the pump, so that a backlog builds up which can then be seen to drain alone. */
  static async start({ fair }: { fair: boolean }): Promise<PathRig> {
    const sink = await startSink(BATCH);
    const hook = { id: "hook", kind: "webhook", url: sink.url, batch: { max_events: BATCH, max_wait_ms: 100 } };
    const team = (id: string, destinations: unknown[], transformations: unknown[]) => ({
      ...{ id, name: id, tokens: [`phc_${id}`], destinations, transformations },
    });
    const headwater = await startHeadwater({
      config: { teams: [team("path", [hook], [{ id: "script", code: SCRIPT }]), team("still", [], [])] },
      env: fair ? {} : { HEADWATER_VAR_ADMISSION_FREE_EVENTS: "1000000000" },
    });
    return new PathRig(headwater, sink);
  }

  /** Events/s that capture takes when nothing is behind it. */
  async captureRate(connections: number, durationMs: number): Promise<number> {
    const request = this.#captureOnly.next;
    const result = await load({ url: this.headwater.capture, connections, durationMs, request });
    return refuseOtherThan200(result).rps * BATCH;
  }

  /**
   * Events/s of the path alone: sends `events` as fast as they are taken, then measures how fast the backlog drains with no traffic
   * beside it. Throws where capture let no backlog build up.
   */
  async drainRate(events: number, connections: number): Promise<number> {
    const before = this.sink.delivered();
    await this.#send({ connections, count: Math.ceil(events / BATCH) });
    const [cut, backlog] = [performance.now(), before + events - this.sink.delivered()];
    await this.#delivered(before + events);
    if (backlog < events * BACKLOG_SHARE)
      throw new Error(`bench: only ${backlog} of ${events} events were left to drain`);
    return (backlog / (performance.now() - cut)) * 1_000;
  }

  /** Saturates capture and counts what is delivered meanwhile, after `settleMs`; then waits for the rest. */
  async saturated(
    connections: number,
    durationMs: number,
    settleMs: number,
  ): Promise<{ delivered: number; accepted: number }> {
    const [sent, before] = [this.#requests.made, this.sink.delivered()];
    const running = this.#send({ connections, durationMs });
    await sleep(settleMs);
    const [at, count] = [performance.now(), this.sink.delivered()];
    await sleep(durationMs - settleMs);
    const delivered = (this.sink.delivered() - count) / ((performance.now() - at) / 1_000);
    const { rps } = await running;
    await this.#delivered(before + (this.#requests.made - sent) * BATCH);
    return { delivered, accepted: rps * BATCH };
  }

  /** Time from answer to delivery at a steady rate of events/s, in milliseconds. */
  async delay(rate: number, durationMs: number): Promise<{ p50Ms: number; p99Ms: number }> {
    const [from, before] = [this.#requests.made, this.sink.delivered()];
    await this.#send({ connections: 64, durationMs, rate: rate / BATCH });
    await this.#delivered(before + (this.#requests.made - from) * BATCH);
    const delays = new Float64Array(this.#requests.made - from);
    // An event may be delivered before its own answer is read; that is no delay.
    for (let k = 0; k < delays.length; k++) {
      delays[k] = Math.max(0, this.sink.arrivedAt(from + k) - (this.#answered[from + k] ?? 0));
    }
    delays.sort();
    return { p50Ms: percentile(delays, 0.5), p99Ms: percentile(delays, 0.99) };
  }

  async stop(): Promise<void> {
    await this.headwater.stop();
    await this.sink.stop();
  }

  async #send(how: { connections: number; count?: number; durationMs?: number; rate?: number }): Promise<LoadResult> {
    const from = this.#requests.made;
    const onAnswer = (n: number) => {
      this.#answered[from + n] = performance.timeOrigin + performance.now();
    };
    return refuseOtherThan200(
      await load({ url: this.headwater.capture, request: this.#requests.next, onAnswer, ...how }),
    );
  }

  async #delivered(total: number): Promise<void> {
    const describe = () => `${this.sink.delivered()} of ${total} events delivered`;
    await until(() => this.sink.delivered() >= total, { timeoutMs: DRAIN_TIMEOUT_MS, everyMs: 5, describe });
  }
}
