import { KafkaRig } from "../kafka-rig.ts";
import { inTurns, type Row } from "../report.ts";
import type { Scenario } from "./scenario.ts";

const EVENTS = Number(process.env.KAFKA_BENCH_EVENTS ?? 200_000);
const WARM_EVENTS = 20_000;
const TURNS = 3;

export const kafka: Scenario = {
  name: "kafka",
  about: "a running instance drains an outbox into a real Kafka, against kafkajs in Node with the same batches",
  run: async () => {
    const rig = await KafkaRig.start();
    await rig.plain(WARM_EVENTS);
    await rig.drain(WARM_EVENTS);
    const { baseline, measured } = await inTurns(
      TURNS,
      () => rig.plain(EVENTS),
      () => rig.drain(EVENTS),
    );
    await rig.stop();
    const rows: Row[] = [
      {
        what: "events to Kafka by its own protocol, 500 a request",
        ...{ value: measured, unit: "events/s", atLeast: 0.6 },
        baseline: { what: "events/s with kafkajs in Node", value: baseline },
      },
    ];
    return rows;
  },
};
