import { Redis } from "@upstash/redis/cloudflare";

/** What capture asks of Redis. All throw where Redis does not answer in time or refuses. */
export interface RedisClient {
  /** Members and scores of sorted sets, from the score `min` on, a list for each key. */
  scored(keys: readonly string[], min: number): Promise<(readonly [member: string, score: number])[][]>;
  /** Which of the keys there are. */
  existing(keys: readonly string[]): Promise<boolean[]>;
  /** Sets the keys, for so many seconds. */
  keep(keys: readonly string[], seconds: number): Promise<void>;
}

/** In the way of a request: well above a round trip in one region, well below the patience of an SDK. */
const REDIS_TIMEOUT_MS = 500;

/** Keys of one request to Redis: half a megabyte, of the one that Upstash takes. */
const KEYS_COUNT = 5_000;

/** One command for all keys of a request: a SET each would be billed, and sent, each for itself. */
const KEEP_SCRIPT = "for _, key in ipairs(KEYS) do redis.call('SET', key, '', 'EX', ARGV[1]) end return #KEYS";

/** Null where the variables are not set. Throws, for the operator, where only one is, or the address is none. */
export function redisClientOf(env: {
  UPSTASH_REDIS_REST_URL?: string;
  UPSTASH_REDIS_REST_TOKEN?: string;
}): RedisClient | null {
  const [url = "", token = ""] = [env.UPSTASH_REDIS_REST_URL, env.UPSTASH_REDIS_REST_TOKEN];
  if (url === "" && token === "") return null;
  if (url === "" || token === "") {
    throw new Error("UPSTASH_REDIS_REST_URL and UPSTASH_REDIS_REST_TOKEN go together: set both, or neither");
  }
  if (!/^https?:\/\/[^\s/]/.test(url)) throw new Error("UPSTASH_REDIS_REST_URL is no http or https address");
  const redis = new Redis({
    url,
    token,
    // As a function: an aborted signal that is given as a value becomes an answer, with the reason for a result.
    signal: () => AbortSignal.timeout(REDIS_TIMEOUT_MS),
    // `false` would still try twice.
    retry: { retries: 0 },
    // Would put commands of several requests into one promise, which one of them cannot wait for.
    enableAutoPipelining: false,
    enableTelemetry: false,
    // Tokens that look like numbers stay text.
    automaticDeserialization: false,
    // Keys and tokens are ASCII: nothing is to be wrapped.
    responseEncoding: false,
    // Keeps a token of the last answer for all requests of the isolate.
    readYourWrites: false,
  });
  return {
    async scored(keys, min) {
      const pipeline = redis.pipeline();
      for (const key of keys) pipeline.zrange(key, min, "+inf", { byScore: true, withScores: true });
      const lists = await pipeline.exec<string[][]>();
      return lists.map(pairsOf);
    },
    async existing(keys) {
      const found: boolean[] = [];
      for (const some of slices(keys)) {
        const values = await redis.mget<(string | null)[]>(...some);
        for (const value of values) found.push(value !== null);
      }
      return found;
    },
    async keep(keys, seconds) {
      for (const some of slices(keys)) await redis.eval(KEEP_SCRIPT, some, [String(seconds)]);
    },
  };
}

function* slices(keys: readonly string[]): Generator<string[]> {
  for (let from = 0; from < keys.length; from += KEYS_COUNT) yield keys.slice(from, from + KEYS_COUNT);
}

function pairsOf(flat: readonly string[]): [string, number][] {
  const pairs: [string, number][] = [];
  for (let i = 0; i + 1 < flat.length; i += 2) pairs.push([flat[i] as string, Number(flat[i + 1])]);
  return pairs;
}
