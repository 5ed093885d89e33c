import { type Headwater, startHeadwater } from "../../test/e2e/headwater.ts";
import {
  type CaptureRequest,
  pixelRequest,
  posthogV0,
  posthogV1,
  segmentTrack,
  TOKEN,
  WEBHOOK_TOKEN,
  webhookRequest,
  wireBytes,
} from "../capture-requests.ts";
import { refuseOtherThan200 } from "../checks.ts";
import { CountedRequest } from "../events.ts";
import { startHello } from "../hello.ts";
import { load } from "../load.ts";
import { inTurns, type Row } from "../report.ts";
import { UUID } from "../sdk-events.ts";
import type { Scenario } from "./scenario.ts";

const CONNECTIONS = 256;
const ROUND_MS = 3_000;
const ROUNDS = 3;

export const protocols: Scenario = {
  name: "protocols",
  about: "durable requests of one event in every protocol against a hello-world worker that gets the same bytes",
  run: async () => {
    const hello = await startHello();
    const headwater = await start();
    const rows: Row[] = [];
    for (const request of requests()) {
      console.log(`  ${request.protocol}`);
      const [towardsHello, towardsCapture] = [sender(hello.url, request), sender(headwater.capture, request)];
      await towardsHello();
      await towardsCapture();
      const { baseline, measured } = await inTurns(ROUNDS, towardsHello, towardsCapture);
      rows.push({
        what: `durable single events by ${request.protocol}, ${CONNECTIONS} connections`,
        note: "no destination: capture alone",
        ...{ value: measured, unit: "requests/s", baseline: { what: "hello-world requests/s", value: baseline } },
      });
    }
    await Promise.all([hello.stop(), headwater.stop()]);
    return rows;
  },
};

function start(): Promise<Headwater> {
  const hooks = { id: "hooks", protocol: "webhook", tokens: [WEBHOOK_TOKEN] };
  return startHeadwater({ config: { teams: [{ id: "bench", name: "Bench", tokens: [TOKEN], sources: [hooks] }] } });
}

/** As most of each protocol's clients send them. */
function requests(): CaptureRequest[] {
  const posthog = [posthogV0(1), posthogV1(1)].flatMap((forms) => forms.slice(0, 1));
  return [...posthog, segmentTrack(), pixelRequest(), webhookRequest()];
}

/** Sends for a round; gives requests per second. No event comes twice, in later rounds neither. */
function sender(url: string, request: CaptureRequest): () => Promise<number> {
  const { next } = new CountedRequest(wireBytes(url, request), UUID);
  return async () =>
    refuseOtherThan200(await load({ url, connections: CONNECTIONS, durationMs: ROUND_MS, request: next })).rps;
}
