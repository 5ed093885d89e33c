import { COUNTER_DIGITS } from "./events.ts";

/** Stands in every event, so that a run can count its last digits up: no two events of a load are the same. */
export const UUID = "0190b0f0-0000-7000-8000-000000000000";

/** What stands before the digits that count. */
const UUID_HEAD = UUID.slice(0, -COUNTER_DIGITS);
const USERS = 100;
const AGENT = "Mozilla/5.0 (X11; Linux x86_64) AppleWebKit/537.36 (KHTML, like Gecko) Chrome/156.0.0.0 Safari/537.36";

/** The n-th uuid. */
function uuid(n: number): string {
  return UUID_HEAD + n.toString(16).padStart(COUNTER_DIGITS, "0");
}

interface PageEvent {
  uuid: string;
  event: string;
  distinct_id: string;
  properties: Record<string, unknown>;
  timestamp?: string;
  offset?: number;
}

/** What posthog-js says of a visitor: a page view, then clicks, then a leave; of some 1.5 KB each. */
export function pageEvents(count: number): PageEvent[] {
  return Array.from({ length: count }, (_, n) => ({
    ...{ uuid: uuid(n), event: n % 10 === 0 ? "$pageview" : n % 10 === 9 ? "$pageleave" : "$autocapture" },
    distinct_id: `0190b0f0-1111-7000-8000-${String(n % USERS).padStart(12, "0")}`,
    properties: { ...pageProperties(n), ...(n % 10 === 0 || n % 10 === 9 ? {} : clicked(n)) },
    ...{ timestamp: `2026-11-23T03:22:${String(10 + (n % 50))}.895Z`, offset: 1_204 + n },
  }));
}

function pageProperties(n: number): Record<string, unknown> {
  return {
    ...{ $os: "Linux", $os_version: "", $browser: "Chrome", $browser_version: 156, $device_type: "Desktop" },
    ...{ $timezone: "Europe/Berlin", $timezone_offset: -60, $raw_user_agent: AGENT, $browser_language: "de-DE" },
    $current_url: `https://shop.example.com/products/${n}?utm_source=newsletter&utm_campaign=gr%C3%BCn`,
    ...{ $host: "shop.example.com", $pathname: `/products/${n}`, title: titleOf(n), $referrer: "$direct" },
    ...{ $screen_height: 1080, $screen_width: 1920, $viewport_height: 947, $viewport_width: 1912 },
    ...{ $lib: "web", $lib_version: "1.449.2", $insert_id: `i${n}x7q2hd8s`, $time: 1_795_404_134.895 + n },
    distinct_id: `0190b0f0-1111-7000-8000-${String(n % USERS).padStart(12, "0")}`,
    ...{ $device_id: "0190b0f0-3333-7000-8000-000000000003", $session_id: "0190b0f0-4444-7000-8000-000000000004" },
    ...{ $window_id: "0190b0f0-5555-7000-8000-000000000005", $pageview_id: "0190b0f0-6666-7000-8000-000000000006" },
    ...{ $is_identified: false, $process_person_profile: true, $autocapture_disabled_server_side: false },
    $active_feature_flags: ["new-checkout", "green-button"],
    ...{ "$feature/new-checkout": true, "$feature/green-button": "variant-a", plan: n % 2 === 0 ? "pro" : "free" },
    $initial_person_info: { r: "$direct", u: "https://shop.example.com/" },
    $lib_rate_limit_remaining_tokens: 99,
  };
}

/** Text beyond ASCII stands in one event of ten, beyond Latin-1 in one of fifty. */
function titleOf(n: number): string {
  if (n % 50 === 7) return `Größe “M” – Shop 🦊 ${n}`;
  return n % 10 === 3 ? `Café crème ${n} | Shop` : `Product ${n} | Shop`;
}

function clicked(n: number): Record<string, unknown> {
  return {
    ...{ $event_type: "click", $ce_version: 1, $el_text: `Add to cart ${n}` },
    $elements: [
      { tag_name: "button", $el_text: `Add to cart ${n}`, classes: ["btn", "btn-primary"], attr__id: `add-${n}` },
      { tag_name: "div", classes: ["product"], nth_child: n, nth_of_type: 1 },
      { tag_name: "main", nth_child: 2, nth_of_type: 1 },
      { tag_name: "body", nth_child: 2, nth_of_type: 1 },
    ],
  };
}

/** What @segment/analytics-node sends for a shop's server; of some 700 bytes each. */
export function segmentMessages(count: number): Record<string, unknown>[] {
  return Array.from({ length: count }, (_, n) => ({
    ...{ ...typed(n), userId: `user-${n % USERS}`, anonymousId: "bb1d3ddf-b7ef-44c2-b005-8433e54aac9b" },
    context: {
      library: { name: "@segment/analytics-node", version: "3.1.0" },
      ...{ ip: "203.0.113.7", userAgent: AGENT, locale: "de-DE" },
    },
    ...{ timestamp: `2026-11-23T02:52:${String(10 + (n % 50))}.905Z`, integrations: {} },
    messageId: `node-next-1795402355905-${uuid(n)}`,
    _metadata: { nodeVersion: "v24.21.0", jsRuntime: "node" },
  }));
}

function typed(n: number): Record<string, unknown> {
  if (n % 10 === 9) return { type: "identify", traits: { email: `person${n}@example.com`, plan: "pro", logins: n } };
  if (n % 10 === 8)
    return { type: "page", name: "Cart", properties: { url: "https://shop.example.com/cart", items: n } };
  return {
    type: "track",
    event: n % 2 === 0 ? "Product Added" : "Order Completed",
    properties: {
      ...{ order_id: `50314b8e9bcf${n}`, affiliation: "Shop", value: 30 + n, revenue: 25.5, currency: "EUR" },
      products: [
        { product_id: `507f1f77bcf8${n}`, sku: "45790-32", name: "Monopoly: 3rd Edition", price: 19, quantity: 1 },
        {
          product_id: "505bd76785ebb509fc183733",
          sku: "46493-32",
          name: n % 10 === 3 ? "Café crème" : "Uno",
          price: 3,
          quantity: 2,
        },
      ],
    },
  };
}

/** A payment service's event, of some 1.5 KB. */
export const STRIPE_EVENT = {
  ...{ id: "evt_1NG8Du2eZvKYlo2CUI79vXWy", object: "event", api_version: "2026-02-15", created: 1_795_402_355 },
  data: {
    object: {
      ...{ id: "in_1NG8Du2eZvKYlo2C", object: "invoice", amount_due: 2_000, amount_paid: 2_000, currency: "eur" },
      ...{ customer: "cus_9s6XKzkNRiz8i3", customer_email: "ada@example.com", customer_name: "Ada Lovelace" },
      lines: {
        object: "list",
        data: Array.from({ length: 3 }, (_, n) => ({
          ...{ id: `il_${n}`, object: "line_item", amount: 500 + n, currency: "eur", description: `Platz ${n}` },
          ...{ period: { start: 1_795_402_355, end: 1_797_994_355 }, quantity: 1, metadata: { team: `t${n}` } },
        })),
        ...{ has_more: false, total_count: 3 },
      },
      ...{ metadata: { order: "6735" }, number: "0FE2-0001", paid: true, status: "paid", subtotal: 2_000, tax: null },
    },
  },
  ...{ livemode: false, pending_webhooks: 1, request: { id: "req_1", idempotency_key: null }, type: "invoice.paid" },
};
