/** A request as a real SDK sends it, and the name and user of each event that comes of it. */
interface SdkBody {
  sdk: string;
  route: string;
  body: unknown;
  events: [event: string, distinctId: string][];
}

const SEGMENT_NODE = {
  context: { library: { name: "@segment/analytics-node", version: "3.1.0" } },
  integrations: {},
  _metadata: { nodeVersion: "v24.21.0", jsRuntime: "node" },
  timestamp: "2026-11-23T02:52:35.905Z",
};
const segmentNodeId = (tail: string) => `node-next-1795402355905-a03aac37-6c84-45ce-b864-${tail}`;

const RUDDER_NODE = {
  context: { library: { name: "analytics-node", version: "3.0.13" } },
  channel: "server",
  _metadata: { nodeVersion: "24.21.0" },
  originalTimestamp: "2026-11-23T02:52:35.948Z",
  sentAt: "2026-11-23T02:52:35.960Z",
};

const SERVER_EVENTS: [string, string][] = [
  ["$identify", "user-1"],
  ["signup", "user-1"],
  ["$pageview", "anon-1"],
  ["$groupidentify", "user-1"],
  ["$create_alias", "user-1"],
  ["$screen", "user-1"],
];

const PAGE_URL = "https://shop.example/s/?utm_source=test&utm_campaign=gr%C3%BCn";
const SEARCH = "?utm_source=test&utm_campaign=gr%C3%BCn";
const USER_AGENT =
  "Mozilla/5.0 (X11; Linux x86_64) AppleWebKit/537.36 (KHTML, like Gecko) Chrome/156.0.0.0 Safari/537.36";
const CAMPAIGN = { source: "test", name: "grün" };

const ANALYTICS_JS = {
  timestamp: "2026-11-23T03:22:14.895Z",
  integrations: {},
  context: {
    page: { path: "/s/", referrer: "", search: SEARCH, title: "Größe 🦊", url: PAGE_URL },
    userAgent: USER_AGENT,
    userAgentData: { brands: [{ brand: "Chromium", version: "156" }], mobile: false, platform: "Linux" },
    locale: "en-US",
    library: { name: "analytics.js", version: "npm:next-1.84.3" },
    campaign: CAMPAIGN,
    timezone: "UTC",
  },
  anonymousId: "bb1d3ddf-b7ef-44c2-b005-8433e54aac9b",
  writeKey: "phc_acme",
  sentAt: "2026-11-23T03:22:14.934Z",
  _metadata: { bundled: ["Segment.io"], unbundled: [], bundledIds: [] },
};

const RUDDER_JS = {
  channel: "web",
  context: {
    traits: { plan: "pro" },
    sessionId: 1_795_404_139_745,
    sessionStart: true,
    app: {
      name: "RudderLabs JavaScript SDK",
      namespace: "com.rudderlabs.javascript",
      version: "3.34.1",
      installType: "npm",
    },
    library: { name: "RudderLabs JavaScript SDK", version: "3.34.1", variant: "bundled" },
    userAgent: USER_AGENT,
    os: { name: "", version: "" },
    locale: "en-US",
    screen: { width: 1280, height: 720, density: 1, innerWidth: 1280, innerHeight: 720 },
    campaign: CAMPAIGN,
    page: { path: "/r/", referrer: "$direct", referring_domain: "", search: SEARCH, title: "Größe 🦊", url: PAGE_URL },
    timezone: "GMT+0000",
  },
  originalTimestamp: "2026-11-23T03:22:19.784Z",
  anonymousId: "290e5a52-88b9-4370-93c9-14e60aaa3ba9",
  integrations: { All: true },
  sentAt: "2026-11-23T03:22:19.791Z",
};

const JITSU_JS = {
  userId: "user-1",
  anonymousId: "58bec466-50b0-4676-a603-0d9196ba11ff",
  timestamp: "2026-11-23T03:22:24.459Z",
  sentAt: "2026-11-23T03:22:24.459Z",
  // Not the key: the whole one is in a header.
  writeKey: "acme:***",
  context: {
    library: { name: "@jitsu/js", version: "1.11.0", env: "browser" },
    userAgent: USER_AGENT,
    locale: "en-US",
    screen: { width: 1280, height: 720, innerWidth: 1280, innerHeight: 720, density: 1 },
    page: { path: "/j/", referrer: "", host: "shop.example", search: SEARCH, title: "Größe 🦊", url: PAGE_URL },
    clientIds: {},
    campaign: CAMPAIGN,
  },
};

export const SDK_BODIES: SdkBody[] = [
  {
    sdk: "@segment/analytics-node 3.1.0",
    route: "/v1/batch",
    events: SERVER_EVENTS,
    body: {
      batch: [
        { ...SEGMENT_NODE, type: "identify", userId: "user-1", traits: { plan: "pro" }, messageId: segmentNodeId("1") },
        {
          ...SEGMENT_NODE,
          type: "track",
          event: "signup",
          properties: { n: 1 },
          userId: "user-1",
          messageId: segmentNodeId("2"),
        },
        {
          ...SEGMENT_NODE,
          type: "page",
          properties: {},
          name: "Home",
          anonymousId: "anon-1",
          messageId: segmentNodeId("3"),
        },
        {
          ...SEGMENT_NODE,
          type: "group",
          traits: { name: "Acme" },
          groupId: "g1",
          userId: "user-1",
          messageId: segmentNodeId("4"),
        },
        { ...SEGMENT_NODE, type: "alias", userId: "user-1", previousId: "anon-1", messageId: segmentNodeId("5") },
        { ...SEGMENT_NODE, type: "screen", properties: {}, name: "S", userId: "user-1", messageId: segmentNodeId("6") },
      ],
      writeKey: "phc_acme",
      sentAt: "2026-11-23T02:52:35.913Z",
    },
  },
  {
    sdk: "@rudderstack/rudder-sdk-node 3.0.13",
    route: "/v1/batch",
    events: SERVER_EVENTS,
    body: {
      batch: [
        {
          ...RUDDER_NODE,
          context: { traits: { plan: "pro" }, ...RUDDER_NODE.context },
          type: "identify",
          userId: "user-1",
          traits: { plan: "pro" },
          messageId: "239707be-66c1-469b-b679-82492aa5b4bf",
        },
        {
          ...RUDDER_NODE,
          type: "track",
          userId: "user-1",
          event: "signup",
          properties: { n: 1 },
          messageId: "2f856f6d-faff-4f8b-a42f-51b1553fbec4",
        },
        {
          ...RUDDER_NODE,
          type: "page",
          anonymousId: "anon-1",
          name: "Home",
          messageId: "3f8affd0-0025-45b9-967e-b68c430fc4e5",
        },
        {
          ...RUDDER_NODE,
          type: "group",
          userId: "user-1",
          groupId: "g1",
          traits: { name: "Acme" },
          messageId: "c99cb8ba-0b93-42c8-9ad0-0bb1dbabff76",
        },
        {
          ...RUDDER_NODE,
          type: "alias",
          userId: "user-1",
          previousId: "anon-1",
          messageId: "808b0255-7bb2-4d51-a916-d38df26707be",
        },
        {
          ...RUDDER_NODE,
          type: "screen",
          userId: "user-1",
          name: "S",
          messageId: "68c6ccd9-a6d8-46a4-b13c-709bc0451969",
        },
      ],
      timestamp: "2026-11-23T02:52:35.960Z",
      sentAt: "2026-11-23T02:52:35.960Z",
    },
  },
  {
    sdk: "@segment/analytics-next 1.84.3",
    route: "/v1/i",
    events: [["$identify", "user-1"]],
    body: {
      ...ANALYTICS_JS,
      type: "identify",
      userId: "user-1",
      traits: { plan: "pro" },
      messageId: "ajs-next-1795404134895-5bbb1d3d-dfb7-4f44-82b0-058433e54aac",
    },
  },
  {
    sdk: "@segment/analytics-next 1.84.3",
    route: "/v1/p",
    events: [["$pageview", "bb1d3ddf-b7ef-44c2-b005-8433e54aac9b"]],
    body: {
      ...ANALYTICS_JS,
      type: "page",
      userId: null,
      properties: { path: "/s/", referrer: "", search: SEARCH, title: "Größe 🦊", url: PAGE_URL, name: "Home" },
      category: "Docs",
      name: "Home",
      messageId: "ajs-next-1795404135015-3ddfb7ef-44c2-4005-8433-e54aac9b82e5",
    },
  },
  {
    sdk: "@rudderstack/analytics-js 3.34.1",
    route: "/v1/identify",
    events: [["$identify", "user-1"]],
    body: { ...RUDDER_JS, type: "identify", userId: "user-1", messageId: "bd458ac4-87f0-4477-9c1c-021669b4d7d2" },
  },
  {
    sdk: "@rudderstack/analytics-js 3.34.1",
    route: "/beacon/v1/batch",
    events: [["$pageview", "290e5a52-88b9-4370-93c9-14e60aaa3ba9"]],
    body: {
      batch: [
        {
          ...RUDDER_JS,
          type: "page",
          userId: "",
          properties: { name: "Home", category: "Docs", path: "/r/", referrer: "$direct", url: PAGE_URL },
          messageId: "c60143a8-16e6-428b-a672-0dd6c0bea54e",
        },
      ],
      sentAt: "2026-11-23T03:22:19.822Z",
    },
  },
  {
    sdk: "@jitsu/js 1.11.0",
    route: "/api/s/page",
    events: [["$pageview", "user-1"]],
    body: {
      ...JITSU_JS,
      type: "page",
      properties: { url: PAGE_URL, hash: "", width: 1280 },
      messageId: "yegh7s84pv2bdjocq9nx5",
    },
  },
];
