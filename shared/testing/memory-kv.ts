/** KV in memory; `calls` records the reads and writes in order. */
export interface MemoryKv extends KVNamespace {
  readonly calls: string[];
  readonly entries: Map<string, string>;
  /** Makes every call fail with this message, until null. */
  failWith(message: string | null): void;
}

export function memoryKv(): MemoryKv {
  const entries = new Map<string, string>();
  const calls: string[] = [];
  let failure: string | null = null;
  const call = (name: string) => {
    calls.push(name);
    if (failure !== null) throw new Error(failure);
  };
  const kv = {
    calls,
    entries,
    failWith: (message: string | null) => {
      failure = message;
    },
    get: async (key: string, type?: string) => {
      call(`get ${key}`);
      const value = entries.get(key) ?? null;
      return value !== null && type === "json" ? JSON.parse(value) : value;
    },
    put: async (key: string, value: string) => {
      call(`put ${key}`);
      entries.set(key, value);
    },
    delete: async (key: string) => {
      call(`delete ${key}`);
      entries.delete(key);
    },
  };
  return kv as unknown as MemoryKv;
}
