import fc from "fast-check";
import { expect, it } from "vitest";
import { anEvent } from "../../shared/testing/builders.ts";
import { DEFAULT_LIMITS } from "./decode/limits.ts";
import { encodeEvents } from "./encode.ts";
import { markedEvents } from "./quarantine.ts";

it("finds what capture has marked, wherever the word stands besides", () => {
  const text = fc.oneof(fc.string(), fc.constantFrom('"quarantine":"', '","quarantine":"x"}', "\\\\", '\\"', "é\\"));
  const field = fc.option(text, { nil: undefined });
  fc.assert(
    fc.property(fc.array(fc.record({ source: text, quarantine: field, property: text }), { minLength: 1 }), (all) => {
      const events = all.map(({ source, quarantine, property }) =>
        anEvent({ source, properties: { quarantine: property }, ...(quarantine === undefined ? {} : { quarantine }) }),
      );
      expect(markedEvents(encodeEvents(events, DEFAULT_LIMITS).bytes)).toEqual(
        all.flatMap(({ quarantine }, index) =>
          quarantine === undefined ? [] : [{ index, script: "restriction", message: quarantine }],
        ),
      );
    }),
  );
  expect(markedEvents(new Uint8Array(0))).toEqual([]);
});
