import { expect, test } from "vitest";
import { renderMetrics } from "./prometheus.ts";

test("families have HELP and TYPE, and labels are escaped", () => {
  const text = renderMetrics([
    {
      name: "a_total",
      type: "counter",
      help: "Counts.\nA \\ lot.",
      samples: [{ labels: { team: 'a"b\\c\nd', lane: "1" }, value: 2 }],
    },
    { name: "b", type: "gauge", help: "None yet.", samples: [] },
    { name: "c", type: "gauge", help: "Bare.", samples: [{ labels: {}, value: 0.5 }] },
  ]);
  expect(text).toBe(
    [
      "# HELP a_total Counts.\\nA \\\\ lot.",
      "# TYPE a_total counter",
      'a_total{team="a\\"b\\\\c\\nd",lane="1"} 2',
      "# HELP b None yet.",
      "# TYPE b gauge",
      "# HELP c Bare.",
      "# TYPE c gauge",
      "c 0.5",
      "",
    ].join("\n"),
  );
});
