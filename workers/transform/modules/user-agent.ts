/** `headwater:user-agent`: browser, system and device by a user agent. */
import UAParser from "ua-parser-js";
import { clippedAgent } from "./parts/user-agent-text.ts";

/** A batch holds few users' events, and reading one costs more than all else that a script does with it. */
const REMEMBERED_COUNT = 200;

/** What is not known is absent. */
export interface UserAgent {
  browser?: string;
  browser_version?: string;
  os?: string;
  os_version?: string;
  device?: string;
  device_vendor?: string;
  device_type: DeviceType;
  engine?: string;
}

export type DeviceType = "Desktop" | "Mobile" | "Tablet" | "Console" | "TV" | "Wearable" | "Embedded";

const DEVICE_TYPES: Readonly<Record<string, DeviceType>> = {
  mobile: "Mobile",
  tablet: "Tablet",
  console: "Console",
  smarttv: "TV",
  wearable: "Wearable",
  embedded: "Embedded",
};

const remembered = new Map<string, Readonly<UserAgent>>();

/** Null for what is no text, or an empty one. */
export function parseUserAgent(userAgent: unknown): UserAgent | null {
  const text = clippedAgent(userAgent);
  if (text === null) return null;
  let parsed = remembered.get(text);
  if (parsed === undefined) {
    parsed = read(text);
    if (remembered.size >= REMEMBERED_COUNT) remembered.clear();
    remembered.set(text, parsed);
  }
  return { ...parsed };
}

/** The same as properties that PostHog's web SDK sets: `$browser`, `$browser_version`, `$os`, `$os_version`, `$device_type`, `$device`. */
export function userAgentProperties(userAgent: unknown): Record<string, string> {
  const parsed = parseUserAgent(userAgent);
  if (parsed === null) return {};
  const { browser, browser_version, os, os_version, device, device_type } = parsed;
  const named = {
    $browser: browser,
    $browser_version: browser_version,
    $os: os,
    $os_version: os_version,
    $device_type: device_type,
    $device: device,
  };
  return Object.fromEntries(Object.entries(named).filter((entry): entry is [string, string] => entry[1] !== undefined));
}

function read(text: string): UserAgent {
  const { browser, os, device, engine } = new UAParser(text).getResult();
  const parsed: Record<string, string> = { device_type: DEVICE_TYPES[device.type ?? ""] ?? "Desktop" };
  const found = {
    browser: browser.name,
    browser_version: browser.version,
    os: os.name,
    os_version: os.version,
    device: device.model,
    device_vendor: device.vendor,
    engine: engine.name,
  };
  for (const [name, value] of Object.entries(found)) if (value !== undefined && value !== "") parsed[name] = value;
  return parsed as unknown as UserAgent;
}
