import {
  type CaptureRequest,
  pixelRequest,
  posthogV0,
  posthogV1,
  segmentBatch,
  segmentTrack,
  webhookRequest,
} from "../capture-requests.ts";
import { DecodeRig } from "../decode-rig.ts";
import { inTurns, type Row } from "../report.ts";
import type { Scenario } from "./scenario.ts";

const BATCH = 50;
const WARM_MS = 300;
const ROUND_MS = 400;
const ROUNDS = 5;

export const decode: Scenario = {
  name: "decode",
  about:
    "inside one workerd: decode, validate and normalise, and for batches write as lines too, against unwrapping and JSON.parse alone",
  run: async () => {
    const rows: Row[] = [];
    for (const request of requests()) {
      // A process each: none inherits the garbage of the one before.
      const rig = await DecodeRig.start();
      await rig.use(request);
      for (const how of ["bare", "decode", "encode"] as const) await rig.rate(how, WARM_MS);
      const isBatch = request.events === BATCH;
      for (const how of isBatch ? (["decode", "encode"] as const) : (["decode"] as const)) {
        const { baseline, measured } = await inTurns(
          ROUNDS,
          () => rig.rate("bare", ROUND_MS),
          () => rig.rate(how, ROUND_MS),
        );
        rows.push({
          what: nameOf(request) + (how === "encode" ? ", and written as lines" : ""),
          ...{ value: measured, unit: "events/s", baseline: { what: "events/s bare unwrap + parse", value: baseline } },
          ...(isBatch && how === "decode" ? { atLeast: 0.5 } : {}),
        });
      }
      await rig.stop();
    }
    return rows;
  },
};

/** The forms of a single event that SDKs send, beside the batches. */
function requests(): CaptureRequest[] {
  const single = [posthogV0(1), posthogV1(1)].flatMap((forms) => forms.slice(0, 1));
  return [
    ...[...posthogV0(BATCH), ...posthogV1(BATCH), ...segmentBatch(BATCH)],
    ...[...single, segmentTrack(), pixelRequest(), webhookRequest()],
  ];
}

function nameOf({ protocol, form, wrapping, events }: CaptureRequest): string {
  const how = form === "" ? wrapping : `${form}, ${wrapping}`;
  return `decode, ${protocol}, ${how}, ${events === 1 ? "one event" : `batches of ${events}`}`;
}
