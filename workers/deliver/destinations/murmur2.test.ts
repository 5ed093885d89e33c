import { Partitioners } from "kafkajs";
import { expect, test } from "vitest";
import { partitionOf } from "./murmur2.ts";

const PARTITIONS = 1_000_003;

// Hashes of Kafka's own tests (UtilsTest.testMurmur2), made positive as its partitioner does.
test.each([
  ["21", -973932308],
  ["foobar", -790332482],
  ["a-little-bit-long-string", -985981536],
  ["a-little-bit-longer-string", -1486304829],
  ["lkjh234lh9fiuh90y23oiuhsafujhadof229phr9h19h89h8", -58897971],
  ["abc", 479470107],
])("the key %j has the partition that Java's producer gives it", (key, hash) => {
  expect(partitionOf(key, PARTITIONS)).toBe((hash & 0x7fffffff) % PARTITIONS);
});

test("kafkajs's Java-compatible partitioner agrees, whatever the length and the alphabet", () => {
  const theirs = Partitioners.DefaultPartitioner();
  for (let n = 0; n < 2_000; n++) {
    const key = "phc_ä€😀:".slice(0, n % 9) + "x".repeat(n % 37) + n;
    for (const count of [1, 3, 12, 100]) {
      const partitionMetadata = Array.from({ length: count }, (_, partitionId) => ({
        ...{ partitionId, partitionErrorCode: 0, leader: 0, replicas: [], isr: [] },
      }));
      const message = { key, value: "" };
      expect(partitionOf(key, count)).toBe(theirs({ topic: "t", partitionMetadata, message }));
    }
  }
});
