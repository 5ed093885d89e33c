import { describe, expect, it } from "vitest";
import { anEvent } from "../../../shared/testing/builders.ts";
import { splitHeatmap } from "./posthog-heatmap.ts";

const clicks = { "https://shop.example/": [{ x: 1, y: 2, target_fixed: false, type: "click" }] };
const seven = {
  $heatmap_data: clicks,
  $viewport_height: 600,
  $viewport_width: 800,
  $session_id: "s",
  $prev_pageview_pathname: "/before",
  $prev_pageview_max_scroll: 400,
  $current_url: "https://shop.example/",
};

describe("splitHeatmap", () => {
  it("makes a second event of the clicks and what places them, and takes the clicks from the first", () => {
    const event = anEvent({ properties: { ...seven, plan: "pro" }, $set: { a: 1 }, ip: "203.0.113.7" });
    const heatmap = splitHeatmap(event);
    const { uuid: _first, $set: _set, heatmap_split, ...rest } = event;
    expect(heatmap_split).toBe(true);
    const { uuid, ...second } = heatmap!;
    expect(second).toEqual({ ...rest, event: "$$heatmap", properties: seven });
    expect(uuid).toMatch(/^[\da-f]{8}-[\da-f]{4}-5[\da-f]{3}-[89ab][\da-f]{3}-[\da-f]{12}$/);
    expect(event.properties).toEqual({ ...seven, $heatmap_data: undefined, plan: "pro" });
    expect("$heatmap_data" in event.properties).toBe(false);
  });

  it("gives the second event the same uuid on every retry (invariant 7)", () => {
    const made = () =>
      splitHeatmap(anEvent({ uuid: "01890a5d-ac96-774b-bcce-b302099a8057", properties: { ...seven } }));
    expect(made()?.uuid).toBe(made()?.uuid);
    expect(made()?.uuid).not.toBe(
      splitHeatmap(anEvent({ uuid: "01890a5d-ac96-774b-bcce-b302099a8058", properties: { ...seven } }))?.uuid,
    );
  });

  it("makes one of scroll depth alone, and leaves the first as it is", () => {
    const properties = {
      $prev_pageview_pathname: "/before",
      $current_url: "https://shop.example/",
      $cookieless_mode: true,
    };
    const event = anEvent({ properties: { ...properties } });
    expect(splitHeatmap(event)).toMatchObject({ event: "$$heatmap", properties });
    expect(event.properties).toEqual(properties);
  });

  it.each([
    ["nothing of the kind", "signup", {}],
    ["a page without the one before it", "$pageview", { $current_url: "https://shop.example/" }],
    ["no data where the key is", "$pageview", { $heatmap_data: null }],
    ["a heatmap event of the client's own", "$$heatmap", seven],
  ])("leaves alone an event with %s", (_what, event, properties) => {
    const given = anEvent({ event, properties: { ...properties } });
    expect(splitHeatmap(given)).toBeNull();
    expect(given.properties).toEqual(properties);
  });
});
