import { spawnSync } from "node:child_process";
import { dirname } from "node:path";
import { fileURLToPath } from "node:url";
import { describe, expect, it } from "vitest";

const HERE = `${dirname(fileURLToPath(import.meta.url))}/`;
const GROWTH_BYTES = 64 * 1024 * 1024;

/** How each bomb of 1 GB is made, in pieces so that making it takes no memory either; `bomb` is what comes out. */
const BOMBS: Record<string, string> = {
  gzip: pieces("createGzip({ level: 1 })"),
  "gzip that lies about its size": `${pieces("createGzip({ level: 1 })")}
    bomb.writeUInt32LE(1_000, bomb.length - 4);`,
  deflate: pieces("createDeflate({ level: 1 })"),
  br: pieces("createBrotliCompress({ params: { [zlib.constants.BROTLI_PARAM_QUALITY]: 1 } })"),
  zstd: pieces("createZstdCompress()"),
  lz64: `
    import { lz64Bomb } from ${JSON.stringify(`${HERE}../testing/lz64-bomb.ts`)};
    const bomb = lz64Bomb(1 << 30);`,
};

function pieces(stream: string): string {
  return `
    const stream = zlib.${stream};
    const chunks = [];
    stream.on("data", (chunk) => chunks.push(chunk));
    const zeros = Buffer.alloc(1 << 20);
    for (let n = 0; n < 1024; n++) await new Promise((resolve) => stream.write(zeros, resolve));
    await new Promise((resolve) => stream.end(resolve));
    const bomb = Buffer.concat(chunks);`;
}

/** In a process of its own, whose high-water mark is its own too. */
function detonate(name: string) {
  const program = `
    import zlib from "node:zlib";
    import { inflate } from ${JSON.stringify(`${HERE}inflate.ts`)};
    import { decompressLz64 } from ${JSON.stringify(`${HERE}lz64.ts`)};
    import { DEFAULT_LIMITS, inflatedLimit } from ${JSON.stringify(`${HERE}limits.ts`)};
    ${BOMBS[name]}
    const before = process.resourceUsage().maxRSS;
    const maxBytes = inflatedLimit(bomb.length, DEFAULT_LIMITS);
    let status = 200;
    try {
      ${name === "lz64" ? "decompressLz64(bomb, maxBytes)" : `await inflate(${JSON.stringify(name.split(" ", 1)[0])}, bomb, maxBytes)`};
    } catch (error) {
      status = error.status;
    }
    const grown = (process.resourceUsage().maxRSS - before) * 1024;
    console.log(JSON.stringify({ bytes: bomb.length, status, grown }));`;
  const { stdout, stderr } = spawnSync(process.execPath, ["--input-type=module", "-e", program], { encoding: "utf8" });
  if (stdout === "") throw new Error(stderr);
  return JSON.parse(stdout) as { bytes: number; status: number; grown: number };
}

describe("a bomb of 1 GB", () => {
  it.each(Object.keys(BOMBS))(
    "of %s is refused before it takes 64 MB",
    (name) => {
      const { bytes, status, grown } = detonate(name);
      expect(bytes).toBeLessThan(10 * 1024 * 1024);
      expect(status).toBe(413);
      expect(grown).toBeLessThan(GROWTH_BYTES);
      console.log(`${name}: ${bytes} bytes on the wire, ${Math.round(grown / 1024)} KiB grown`);
    },
    30_000,
  );
});
