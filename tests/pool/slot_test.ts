import { assert, assertEquals, assertThrows } from "@std/assert";
import { LeaseRecord } from "../../shared/pool/lease.ts";
import { Slot } from "../../shared/pool/slot.ts";

const STEPS = {
  assign: (slot: Slot<object>) => slot.assign(new LeaseRecord(slot, "normal", 0, 1, undefined)),
  unassign: (slot: Slot<object>) => slot.unassign(),
  park: (slot: Slot<object>) => slot.park(),
  unpark: (slot: Slot<object>) => slot.unpark(),
  beginHook: (slot: Slot<object>) => slot.beginHook(),
  endHook: (slot: Slot<object>) => slot.endHook(),
  close: (slot: Slot<object>) => slot.close(),
};

type Step = keyof typeof STEPS;

/** The ways to each state, and the steps that may follow. */
const STATES: readonly { readonly via: readonly Step[]; readonly next: readonly Step[] }[] = [
  { via: [], next: ["assign", "park", "beginHook", "close"] },
  { via: ["park"], next: ["unpark"] },
  { via: ["assign"], next: ["unassign"] },
  { via: ["beginHook"], next: ["endHook"] },
  { via: ["close"], next: [] },
];

function slotAfter(steps: readonly Step[]): Slot<object> {
  const slot = new Slot<object>({}, 1, { release: () => {} }, 0, Infinity);
  for (const step of steps) STEPS[step](slot);
  return slot;
}

for (const { via, next } of STATES) {
  const name = via.join() || "its creation";
  Deno.test(`Slot after ${name} allows ${next.join(", ") || "no step"}, and throws for the others`, () => {
    for (const step of Object.keys(STEPS) as Step[]) {
      if (next.includes(step)) STEPS[step](slotAfter(via));
      else assertThrows(() => STEPS[step](slotAfter(via)), Error, "Bug in the pool: a slot cannot go from");
    }
  });
}

Deno.test("Slot.lease is its lease from assign() to unassign(), and uses counts it", () => {
  const slot = slotAfter([]);
  const lease = new LeaseRecord(slot, "high", 0, 1, undefined);
  slot.assign(lease);
  assert(slot.lease === lease);
  slot.unassign();
  assertEquals([slot.lease, slot.uses], [undefined, 1]);
});
