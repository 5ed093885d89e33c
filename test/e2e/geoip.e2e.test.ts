import { readFileSync, writeFileSync } from "node:fs";
import { join } from "node:path";
import { afterAll, beforeAll, describe, expect, it } from "vitest";
import { mmdbFile } from "../../workers/capture/testing/mmdb-file.ts";
import { freshFolder, type Headwater, startExpectingFailure, startHeadwater } from "./headwater.ts";
import { until } from "./wait.ts";
import { startWebhookSink, type WebhookSink } from "./webhook-sink.ts";

const MUNICH = {
  city: { names: { de: "München", en: "Munich" } },
  continent: { code: "EU" },
  country: { iso_code: "DE" },
  location: { latitude: 48.1374, longitude: 11.5755, time_zone: "Europe/Berlin" },
  subdivisions: [{ iso_code: "BY", names: { en: "Bavaria" } }],
};
const OSLO = { city: { names: { en: "Oslo" } }, country: { iso_code: "NO" } };
const GEO = {
  ...{ country: "DE", region: "Bavaria", city: "Munich", continent: "EU" },
  ...{ latitude: 48.1374, longitude: 11.5755, timezone: "Europe/Berlin" },
};

const template = readFileSync(join(import.meta.dirname, "../../templates/transformations/geoip/script.ts"), "utf8");
const file = join(freshFolder(), "my places.mmdb");

let sink: WebhookSink;
let headwater: Headwater;

const config = () => ({
  teams: [
    {
      id: "acme",
      tokens: ["phc_acme"],
      sources: [{ id: "discreet", tokens: ["phc_discreet"], ip: "drop" }],
      transformations: [{ id: "geoip", code: template, inputs: { person: false } }],
      destinations: [{ id: "hook", kind: "webhook", url: sink.url }],
    },
  ],
});

beforeAll(async () => {
  writeFileSync(file, mmdbFile({ networks: { "203.0.113.0/24": MUNICH, "2001:db8::/32": OSLO } }));
  sink = await startWebhookSink();
  headwater = await startHeadwater({
    config: config(),
    args: ["--geoip", file],
    env: { HEADWATER_VAR_TRUSTED_PROXIES: "private" },
  });
});

afterAll(async () => {
  await headwater?.stop();
  await sink?.stop();
});

let sent = 0;

/** The event at the sink that was sent from an address behind the proxy. */
async function delivered(from: string | null, properties: Record<string, unknown> = {}, token = "phc_acme") {
  const event = `from ${sent++}`;
  const body = { api_key: token, batch: [{ event, distinct_id: "user-1", properties }] };
  const response = await headwater.send(body, from === null ? {} : { "x-forwarded-for": from });
  expect(response.status).toBe(200);
  const of = () => sink.deliveries.flatMap(({ events }) => events).find((arrived) => arrived.event === event);
  const arrived = await until(async () => of() ?? null, {
    timeoutMs: 20_000,
    everyMs: 50,
    describe: () => `no ${event}`,
  });
  const geoip = Object.entries(arrived.properties).filter(([name]) => name.startsWith("$geoip_"));
  return { ip: arrived.ip, geo: arrived.geo, geoip: Object.fromEntries(geoip) };
}

describe("a database of places on one machine", () => {
  it("places clients behind a proxy, and scripts see where", async () => {
    expect(await delivered("6.6.6.6, 203.0.113.7")).toEqual({
      ip: "203.0.113.7",
      geo: GEO,
      geoip: {
        $geoip_city_name: "Munich",
        $geoip_continent_code: "EU",
        $geoip_continent_name: "Europe",
        $geoip_country_code: "DE",
        $geoip_country_name: "Germany",
        $geoip_latitude: 48.1374,
        $geoip_longitude: 11.5755,
        $geoip_subdivision_1_name: "Bavaria",
        $geoip_time_zone: "Europe/Berlin",
      },
    });
    expect(await delivered("2001:db8::7")).toMatchObject({ ip: "2001:db8::7", geo: { country: "NO", city: "Oslo" } });
  });

  it("leaves those alone that it does not know", async () => {
    expect(await delivered("192.0.2.1")).toEqual({ ip: "192.0.2.1", geo: undefined, geoip: {} });
    expect(await delivered(null)).toEqual({ ip: "127.0.0.1", geo: undefined, geoip: {} });
  });

  it("places what a server sends where the user is whom it speaks for", async () => {
    expect(await delivered("192.0.2.1", { $ip: "203.0.113.9" })).toMatchObject({ ip: "192.0.2.1", geo: GEO });
    expect(await delivered("203.0.113.7", { $ip: "192.0.2.1" })).toMatchObject({ ip: "203.0.113.7", geoip: {} });
  });

  it("leaves no more of a place than a source lets be known", async () => {
    expect(await delivered("203.0.113.7", {}, "phc_discreet")).toMatchObject({
      ip: null,
      geo: { country: "DE", region: "Bavaria", continent: "EU", timezone: "Europe/Berlin" },
      geoip: { $geoip_country_code: "DE" },
    });
  });

  it("that cannot be used is said in one line", async () => {
    const broken = join(freshFolder(), "broken.mmdb");
    writeFileSync(broken, "<html>Sign in to download</html>");
    const { code, stderr } = await startExpectingFailure({ config: config(), env: { HEADWATER_GEOIP: broken } });
    expect(code).toBe(1);
    expect(stderr).toBe(`headwater: --geoip: ${broken} is no MaxMind database (.mmdb), or has lost its end\n`);
  });
});
