import { parseArgs } from "node:util";
import { StartError } from "./start-error.ts";

/** How the local runtime was asked to run. */
export interface StartOptions {
  host: string;
  /** 0 picks a free one. */
  port: number;
  consolePort: number;
  /** Folder of all state. */
  data: string;
  /** Path of headwater.json. */
  config: string;
  /** The ready line as JSON. */
  json: boolean;
  /** The form for production: private destinations refused, admin token required from the environment. */
  production: boolean;
  /** Path of a MaxMind database that places clients; null for none. */
  geoip: string | null;
  /** For a debugger or profiler of the core process; null for none. */
  inspectorPort: number | null;
  /** CIDRs that destinations may be in although they are private. */
  allowPrivate: string[];
  help: boolean;
}

export const USAGE = `usage: npm start -- [options]        (npm run serve -- [options] for production)

  --port N             public port for capture; 0 picks a free one          HEADWATER_PORT          8787
  --console-port N     port of the admin API; 0 picks a free one            HEADWATER_CONSOLE_PORT  8788
  --host ADDRESS       address to listen on                                 HEADWATER_HOST          127.0.0.1
  --data FOLDER        where all state lives                                HEADWATER_DATA          .headwater
  --config FILE        configuration; written as an example if missing      HEADWATER_CONFIG        headwater.json
  --allow-private CIDR destinations in this private range are allowed       HEADWATER_ALLOW_PRIVATE (serve only; repeat or separate by commas)
  --geoip FILE         database of places (.mmdb): where clients are         HEADWATER_GEOIP         none
  --inspector-port N   debugger and profiler of the core process, on 127.0.0.1
  --json               print the ready line as JSON
  --help               this text

environment: HEADWATER_ADMIN_TOKEN (required by serve), HEADWATER_SECRET_KEY (32 bytes, base64; else kept in the data folder)
`;

/** Flags first, then HEADWATER_* variables, then defaults. @throws StartError */
export function readOptions(args: string[], env: Record<string, string | undefined>): StartOptions {
  const values = parse(args);
  const pick = (flag: string | undefined, variable: string, fallback: string) => flag ?? env[variable] ?? fallback;
  return {
    host: pick(values.host, "HEADWATER_HOST", "127.0.0.1"),
    port: portOf("--port", pick(values.port, "HEADWATER_PORT", "8787")),
    consolePort: portOf("--console-port", pick(values["console-port"], "HEADWATER_CONSOLE_PORT", "8788")),
    data: pick(values.data, "HEADWATER_DATA", ".headwater"),
    config: pick(values.config, "HEADWATER_CONFIG", "headwater.json"),
    geoip: pick(values.geoip, "HEADWATER_GEOIP", "") || null,
    json: values.json ?? false,
    production: values.production ?? false,
    inspectorPort: values["inspector-port"] === undefined ? null : portOf("--inspector-port", values["inspector-port"]),
    allowPrivate:
      values["allow-private"] ?? env.HEADWATER_ALLOW_PRIVATE?.split(",").filter((cidr) => cidr !== "") ?? [],
    help: values.help ?? false,
  };
}

function parse(args: string[]) {
  try {
    return parseArgs({
      args,
      options: {
        host: { type: "string" },
        port: { type: "string" },
        "console-port": { type: "string" },
        data: { type: "string" },
        config: { type: "string" },
        geoip: { type: "string" },
        "allow-private": { type: "string", multiple: true },
        "inspector-port": { type: "string" },
        json: { type: "boolean" },
        production: { type: "boolean" },
        help: { type: "boolean", short: "h" },
      },
    }).values;
  } catch (error) {
    throw new StartError(`${(error as Error).message.split("\n")[0]} (see --help)`);
  }
}

function portOf(flag: string, text: string): number {
  if (!/^\d{1,5}$/.test(text) || Number(text) > 65_535)
    throw new StartError(`${flag} must be a port number from 0 to 65535, not "${text}"`);
  return Number(text);
}
