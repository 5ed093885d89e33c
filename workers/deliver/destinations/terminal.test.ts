import { expect, test } from "vitest";
import { anEvent } from "../../../shared/testing/builders.ts";
import { aRequest, aSendDeps } from "./conformance.ts";
import { terminal } from "./terminal.ts";

test("every event is one line, without control characters, and delivered", async () => {
  const lines: string[] = [];
  const event = anEvent({ event: "\u001b[31mred", properties: { a: "x\ny" } });
  const request = aRequest({}, [JSON.stringify(event), '{"event":"bare"}', '{"event":"shaped","$request":{"body":1}}']);
  const deps = {
    ...aSendDeps(),
    print: (line: string) => void lines.push(line),
  };
  expect(await terminal.send(request, terminal.settings.parse({}), deps)).toEqual({
    outcomes: { result: "delivered" },
  });
  expect(lines).toEqual([
    `"\\u001b[31mred" "user-1" "${event.uuid}" {"a":"x\\ny"}`,
    '"bare" - - {}',
    '"shaped" - - {"body":1}',
  ]);
});
