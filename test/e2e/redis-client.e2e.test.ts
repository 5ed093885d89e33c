import { afterAll, beforeAll, beforeEach, describe, expect, it } from "vitest";
import { type RedisClient, redisClientOf } from "../../workers/capture/redis-client.ts";
import { HAS_REDIS, type RedisServer, startRedis } from "./redis.ts";

/** The client against a real Redis: what it sends, and how it fails. */
describe.skipIf(!HAS_REDIS)("Redis over HTTP (needs redis-server)", () => {
  let server: RedisServer;
  let client: RedisClient;

  beforeAll(async () => {
    server = await startRedis();
  });
  afterAll(() => server.stop());
  beforeEach(async () => {
    server.delayMs = 0;
    await server.command("FLUSHALL");
    server.requests.length = 0;
    client = connected(server.token);
  });

  function connected(token: string): RedisClient {
    const made = redisClientOf({ UPSTASH_REDIS_REST_URL: `${server.url}/`, UPSTASH_REDIS_REST_TOKEN: token });
    if (made === null) throw new Error("the variables are set");
    return made;
  }

  it("reads the members of sorted sets with their scores, texts that look like numbers too, in one request", async () => {
    await server.command("ZADD", "a", 10, "phc_a", 20, "123", 5, "past");
    expect(await client.scored(["a", "none"], 10)).toEqual([
      [
        ["phc_a", 10],
        ["123", 20],
      ],
      [],
    ]);
    expect(server.requests).toHaveLength(1);
    expect(server.requests[0]).toMatchObject({
      path: "/pipeline",
      body: [
        ["zrange", "a", 10, "+inf", "byscore", "withscores"],
        ["zrange", "none", 10, "+inf", "byscore", "withscores"],
      ],
    });
  });

  it("keeps keys for a time and finds them, a command each for any number of them", async () => {
    await client.keep(["a", "b"], 60);
    expect(await server.command("TTL", "b")).toBe(60);
    expect(await client.existing(["a", "c", "b"])).toEqual([true, false, true]);
    expect(server.requests.map(({ body }) => (body as string[])[0])).toEqual(["eval", "mget"]);
  });

  it("asks for thousands of keys in parts", async () => {
    const keys = Array.from({ length: 12_000 }, (_, index) => `headwater:seen:acme:${index}`);
    await client.keep(keys, 60);
    expect((await client.existing([...keys, "none"])).filter(Boolean)).toHaveLength(12_000);
    expect(server.requests).toHaveLength(6);
  });

  it("says nothing of itself and of its surroundings", async () => {
    await client.existing(["a"]);
    const names = Object.keys(server.requests[0]?.headers ?? {});
    expect(names.filter((name) => name.startsWith("upstash"))).toEqual([]);
  });

  it("tries once, and says what Redis said", async () => {
    await server.command("SET", "text", "x");
    await expect(client.scored(["text"], 0)).rejects.toThrow("WRONGTYPE");
    await expect(connected("wrong").existing(["a"])).rejects.toThrow("WRONGPASS");
    await server.kill();
    await expect(client.existing(["a"])).rejects.toThrow("Redis is down");
    await server.start();
    expect(server.requests).toHaveLength(3);
  });

  it("gives up on an answer that does not come, which is no answer", async () => {
    server.delayMs = 2_000;
    const started = Date.now();
    await expect(client.existing(["a"])).rejects.toThrow(/timeout|aborted/i);
    expect(Date.now() - started).toBeLessThan(1_500);
    expect(server.requests).toHaveLength(1);
  });

  it("tries once where nobody listens", async () => {
    const nobody = redisClientOf({ UPSTASH_REDIS_REST_URL: "http://127.0.0.1:9", UPSTASH_REDIS_REST_TOKEN: "x" });
    await expect(nobody?.existing(["a"])).rejects.toThrow();
  });
});

describe("the variables of Redis", () => {
  it("are both needed, or none", () => {
    expect(redisClientOf({})).toBeNull();
    expect(() => redisClientOf({ UPSTASH_REDIS_REST_URL: "http://a" })).toThrow("set both, or neither");
    expect(() => redisClientOf({ UPSTASH_REDIS_REST_TOKEN: "a" })).toThrow("set both, or neither");
    expect(() => redisClientOf({ UPSTASH_REDIS_REST_URL: "a.example", UPSTASH_REDIS_REST_TOKEN: "x" })).toThrow(
      "no http or https address",
    );
  });
});
