import { describe, expect, it } from "vitest";
import { Admission } from "./admission.ts";

function anAdmission({ backlog = 0, pumping = true } = {}) {
  const state = { backlog, pumping, expire: [] as (() => void)[] };
  const admission = new Admission(
    {
      backlog: () => state.backlog,
      pumping: () => state.pumping,
      timer: () => {
        const { promise, resolve } = Promise.withResolvers<void>();
        state.expire.push(resolve);
        return { done: promise, cancel: () => {} };
      },
    },
    { freeEvents: 100, maxWaitMs: 1_000 },
  );
  const admitted: number[] = [];
  const ask = (events: number) => void admission.admit(events).then(() => admitted.push(events));
  return { admission, state, admitted, ask };
}

const settled = () => new Promise<void>((resolve) => setImmediate(resolve));

describe("Admission", () => {
  it("lets appends pass while the pump keeps up", async () => {
    const { ask, admitted } = anAdmission({ backlog: 100 });
    ask(50);
    await settled();
    expect(admitted).toEqual([50]);
  });

  it("lets as many events pass as the pump moves, in order, once it is behind", async () => {
    const { admission, ask, admitted } = anAdmission({ backlog: 101 });
    for (const events of [30, 31, 32, 33]) ask(events);
    await settled();
    expect(admitted).toEqual([]);
    admission.progressed(50);
    await settled();
    expect(admitted).toEqual([30, 31]);
    admission.progressed(11);
    await settled();
    expect(admitted).toEqual([30, 31]);
    admission.progressed(1);
    await settled();
    expect(admitted).toEqual([30, 31, 32]);
  });

  it("holds nobody up while the pump itself waits for something that is down", async () => {
    const { admission, state, ask, admitted } = anAdmission({ backlog: 500 });
    ask(1);
    state.pumping = false;
    admission.progressed(0);
    await settled();
    ask(2);
    await settled();
    expect(admitted).toEqual([1, 2]);
  });

  it("holds no append longer than its limit, and forgets it then", async () => {
    const { admission, state, ask, admitted } = anAdmission({ backlog: 500 });
    ask(7);
    for (const expire of state.expire) expire();
    await settled();
    expect(admitted).toEqual([7]);
    ask(8);
    admission.progressed(5);
    await settled();
    expect(admitted).toEqual([7, 8]);
  });
});
