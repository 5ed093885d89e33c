import { createServer, type RequestListener, type Server } from "node:http";
import type { AddressInfo } from "node:net";
import { afterEach, expect, it } from "vitest";
import { AnswerReader, load, percentile, postRequest } from "./load.ts";

let server: Server;
afterEach(() => {
  server?.closeAllConnections();
  server?.close();
});

async function serve(listener: RequestListener): Promise<string> {
  server = createServer(listener).listen(0, "127.0.0.1");
  await new Promise((resolve) => server.once("listening", resolve));
  return `http://127.0.0.1:${(server.address() as AddressInfo).port}`;
}

it("sends exactly `count` requests, each with its own body, and counts statuses", async () => {
  const bodies: string[] = [];
  const url = await serve(async (request, response) => {
    const body = (await request.toArray()).join("");
    bodies.push(body);
    response.statusCode = Number(body) % 10 === 0 ? 503 : 200;
    response.end("{}");
  });
  const request = (n: number) => postRequest(url, "/batch/", Buffer.from(`${n}`));
  const result = await load({ url, connections: 8, count: 200, request });
  expect(bodies.map(Number).sort((a, b) => a - b)).toEqual(Array.from({ length: 200 }, (_, n) => n));
  expect(result).toMatchObject({ answers: 200, statuses: { 200: 180, 503: 20 }, broken: 0 });
});

it("counts a request whose connection breaks and goes on with another connection", async () => {
  let seen = 0;
  const url = await serve((request, response) => {
    request.resume();
    if (++seen % 10 === 0) response.socket?.destroy();
    else response.end("ok");
  });
  const request = () => postRequest(url, "/", Buffer.from("x"));
  const result = await load({ url, connections: 4, count: 100, request });
  expect(result).toMatchObject({ answers: 90, broken: 10 });
});

it("a rate sends no more than it says, and counts latency from when a request was due", async () => {
  const url = await serve((request, response) => {
    request.resume();
    setTimeout(() => response.end("ok"), 20);
  });
  const request = () => postRequest(url, "/", Buffer.from("x"));
  // One connection manages 50 answers a second at most: of 200 due in a second the later ones are late.
  const result = await load({ url, connections: 1, durationMs: 500, rate: 200, request });
  expect(result.answers).toBeLessThan(30);
  expect(result.maxMs).toBeGreaterThan(200);
});

it("reads an answer that comes in pieces, by length and by chunks", () => {
  const reader = new AnswerReader();
  expect(reader.push(Buffer.from("HTTP/1.1 200 OK\r\nConte"))).toBeNull();
  expect(reader.push(Buffer.from("nt-Length: 3\r\n\r\nab"))).toBeNull();
  expect(reader.push(Buffer.from("c"))).toBe(200);
  expect(reader.push(Buffer.from("HTTP/1.1 404 No\r\nTransfer-Encoding: chunked\r\n\r\n2\r\nab\r\n"))).toBeNull();
  expect(reader.push(Buffer.from("0\r\n\r\n"))).toBe(404);
  expect(reader.push(Buffer.from("HTTP/1.1 204 No Content\r\nDate: x\r\n\r\n"))).toBe(204);
});

it("a percentile of nothing is not a number", () => {
  expect(percentile([], 0.5)).toBeNaN();
  expect(percentile([1, 2, 3, 4], 0.5)).toBe(3);
});
