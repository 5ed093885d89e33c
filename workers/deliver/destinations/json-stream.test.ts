import { expect, test } from "vitest";
import { JsonStream } from "./json-stream.ts";

const objects = [{ a: 1 }, { b: { c: [{}, "}{"] } }, { 'q"': '\\"}' }, {}, { ä: "😀" }];

test.each(["", "\n", "\r\n", "  "])("objects with %j between them are found wherever the text is cut", (between) => {
  const text = objects.map((object) => JSON.stringify(object)).join(between) + between;
  for (let size = 1; size <= text.length; size++) {
    const stream = new JsonStream();
    const found: unknown[] = [];
    for (let at = 0; at < text.length; at += size) found.push(...stream.push(text.slice(at, at + size)));
    expect(found).toEqual(objects);
  }
});

test("an object without its end is not there", () => {
  const stream = new JsonStream();
  expect([...stream.push('{"a":1}{"b":')]).toEqual([{ a: 1 }]);
  expect([...stream.push('"}"')]).toEqual([]);
  expect([...stream.push("}")]).toEqual([{ b: "}" }]);
});

test("what is no JSON throws", () => {
  expect(() => [...new JsonStream().push("{a}")]).toThrow(SyntaxError);
});
