import type { DeadLetterSelection } from "../../../shared/outbox-api.ts";
import { Replays, type ReplaysDeps } from "../replays.ts";
import type { OutboxRig } from "./outbox-rig.ts";

type Reshape = (events: Uint8Array, destination: string) => ReturnType<ReplaysDeps["reshape"]>;

let ids = 0;

/** Replays dead letters as far as that goes without waiting; how many, and what was left out. */
export async function replayAll(
  rig: Pick<OutboxRig, "outbox" | "sql" | "clock">,
  deps: Partial<Pick<ReplaysDeps, "append">> & { reshape?: Reshape; pause?: () => Promise<void> } = {},
  selection: DeadLetterSelection = {},
  to = rig.outbox.identity()?.destination ?? "",
): Promise<{ replayed: number; problem?: string }> {
  const id = `r${++ids}`;
  const { outbox, sql, clock } = rig;
  const replays: Replays = new Replays({
    ...{ outbox, sql, clock, log: () => {} },
    reshape: async (destination, events) => (await deps.reshape?.(events, destination)) ?? { problem: "none needs it" },
    append: deps.append ?? (() => Promise.reject(new Error("none goes elsewhere"))),
    archive: () => Promise.reject(new Error("no archive in this test")),
    filter: async () => () => true,
    wait: async (ms) => {
      if (ms > 0) replays.cancel(id);
      await deps.pause?.();
    },
  });
  replays.start({ id, from: "dead_letters", team: "acme", destination: to, selection });
  await replays.kick();
  const { replayed, problem } = await replays.answer(id);
  return { replayed, ...(problem === null ? {} : { problem }) };
}
