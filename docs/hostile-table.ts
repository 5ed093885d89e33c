import type { End, HostileGroup } from "../test/e2e/hostile/hostile-script.ts";

const ENDS: Readonly<Record<End, string>> = {
  publish: "refused when it is published",
  fuel: "stopped by fuel, in its own call",
  error: "an error of its own",
  nothing: "comes to nothing: the event goes on",
  kill: "the sandbox process is killed",
};

/** What scripts try, and how each of them ends, as a markdown table. */
export function hostileTable(groups: readonly HostileGroup[]): string {
  const rows = groups.flatMap(({ title, scripts }) =>
    (Object.keys(ENDS) as End[]).flatMap((end) => {
      const found = scripts.filter(({ ends }) => ends === end).map(({ what }) => what.replaceAll("|", "\\|"));
      return found.length === 0 ? [] : [`| ${title} | ${ENDS[end]} | ${found.join("; ")} |`];
    }),
  );
  return ["| | how it ends | |", "| --- | --- | --- |", ...rows].join("\n");
}
