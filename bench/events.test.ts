import { expect, it } from "vitest";
import { forEachUuid } from "../test/e2e/webhook-sink.ts";
import { BatchTemplate, readCounter } from "./events.ts";

it("gives every event of every request a uuid of its own, counted in order", () => {
  const template = new BatchTemplate("http://127.0.0.1:1", "phc_bench", 3);
  const requests = [template.next(), template.next()];
  const counters: number[] = [];
  for (const request of requests) forEachUuid(request, (at) => counters.push(readCounter(request, at)));
  expect(counters).toEqual([0, 1, 2, 3, 4, 5]);
  const [head, body] = (requests[1]?.toString() ?? "").split("\r\n\r\n");
  expect(head).toContain(`Content-Length: ${body?.length}`);
  const { batch } = JSON.parse(body ?? "") as { batch: { uuid: string }[] };
  expect(batch[2]?.uuid).toMatch(/^[0-9a-f]{8}-0000-7000-8000-000000000005$/);
  expect(JSON.stringify(batch[0])).toHaveLength(700);
});
