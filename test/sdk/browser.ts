import { existsSync } from "node:fs";
import { createServer } from "node:http";
import type { AddressInfo } from "node:net";
import { join } from "node:path";
import { build } from "esbuild";
import { type Browser, chromium, type Page } from "playwright-core";

const CANDIDATES = [
  process.env.CHROMIUM_PATH,
  "/usr/bin/chromium",
  "/usr/bin/chromium-browser",
  "/usr/bin/google-chrome",
  "/Applications/Google Chrome.app/Contents/MacOS/Google Chrome",
];
/** Nothing but the pages of the test goes to the network. */
const FLAGS = [
  "--headless",
  "--no-sandbox",
  "--disable-gpu",
  "--disable-quic",
  "--no-first-run",
  "--disable-background-networking",
  "--disable-component-update",
  "--disable-sync",
];

export type Chromium = { available: true; path: string } | { available: false; reason: string };

export function findChromium(): Chromium {
  const path = CANDIDATES.find((candidate) => candidate !== undefined && existsSync(candidate));
  if (path !== undefined) return { available: true, path };
  return { available: false, reason: "no Chromium on this machine: install it, or set CHROMIUM_PATH" };
}

/** A page of a site that uses one SDK, on an origin of its own. */
export interface SdkPage {
  page: Page;
  /** What the console has shown at level warning or above, and uncaught errors. */
  complaints: string[];
  close(): Promise<void>;
}

/** A browser and a site whose pages load one bundle each. */
export class Site {
  readonly #browser: Browser;
  readonly #bundles = new Map<string, string>();
  readonly #server = createServer((request, response) => this.#serve(request.url ?? "/", response));

  private constructor(browser: Browser) {
    this.#browser = browser;
  }

  static async start(executablePath: string): Promise<Site> {
    const browser = await chromium.launch({ executablePath, args: FLAGS });
    const site = new Site(browser);
    await new Promise<void>((resolve) => site.#server.listen(0, "127.0.0.1", resolve));
    return site;
  }

  /** Opens the page of an SDK, whose script is `pages/<name>.ts`. */
  async open(name: string): Promise<SdkPage> {
    this.#bundles.set(name, await bundle(name));
    const context = await this.#browser.newContext();
    const page = await context.newPage();
    const complaints: string[] = [];
    page.on("console", (message) => {
      if (message.type() === "error" || message.type() === "warning")
        complaints.push(`${message.type()}: ${message.text()}`);
    });
    page.on("pageerror", (error) => complaints.push(`uncaught: ${error.message}`));
    const { port } = this.#server.address() as AddressInfo;
    await page.goto(`http://127.0.0.1:${port}/${name}/?utm_source=test&utm_campaign=gr%C3%BCn`);
    return { page, complaints, close: () => context.close() };
  }

  async stop(): Promise<void> {
    await this.#browser.close();
    this.#server.closeAllConnections();
    await new Promise((resolve) => this.#server.close(resolve));
  }

  #serve(url: string, response: import("node:http").ServerResponse): void {
    const [, name = "", file = ""] = new URL(url, "http://site.test").pathname.split("/");
    const script = this.#bundles.get(name);
    if (script !== undefined && file === "") {
      response.setHeader("content-type", "text/html; charset=utf-8");
      response.end(
        `<!doctype html><title>Größe 🦊</title><link rel="icon" href="data:,"><script src="sdk.js"></script>`,
      );
    } else if (script !== undefined && file === "sdk.js") {
      response.setHeader("content-type", "text/javascript; charset=utf-8");
      response.end(script);
    } else response.writeHead(404).end();
  }
}

async function bundle(name: string): Promise<string> {
  const { outputFiles } = await build({
    entryPoints: [join(import.meta.dirname, "pages", `${name}.ts`)],
    bundle: true,
    format: "iife",
    platform: "browser",
    define: { "process.env.NODE_ENV": '"production"' },
    write: false,
    logLevel: "error",
  });
  return outputFiles[0]!.text;
}
