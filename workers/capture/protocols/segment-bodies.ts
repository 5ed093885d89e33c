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
];
