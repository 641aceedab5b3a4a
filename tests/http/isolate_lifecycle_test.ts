/** Tests the effects of each shutdown event of an isolate on its requests and pools. */
import { assertEquals, assertThrows } from "@std/assert";
import { IsolateLifecycle } from "../../shared/http/handler/isolate_lifecycle.ts";
import { PoolClosedError } from "../../shared/pool/mod.ts";
import { FakeClock } from "../support/fake_clock.ts";

/** Creates a lifecycle with pools; `shut` collects the deadlines of their shutdowns. */
function setUp(...drainMs: number[]) {
  const clock = new FakeClock();
  const target = new EventTarget();
  const life = new IsolateLifecycle(clock, target);
  const shut: (number | undefined)[] = [];
  for (const ms of drainMs.length === 0 ? [5_000] : drainMs) {
    life.registerPools({ drainMs: ms, shutdown: (deadlineMs) => Promise.resolve(void shut.push(deadlineMs)) });
  }
  return {
    clock,
    life,
    shut,
    unload: (reason: string | null) =>
      target.dispatchEvent(new CustomEvent("beforeunload", { cancelable: true, detail: { reason } })),
    drain: () => target.dispatchEvent(new Event("drain")),
    plain: () => target.dispatchEvent(new Event("beforeunload")),
  };
}

const ENDS: Record<string, (life: ReturnType<typeof setUp>) => void> = {
  "cpu": ({ unload }) => void unload("cpu"),
  "wall_clock": ({ unload }) => void unload("wall_clock"),
  "termination": ({ unload }) => void unload("termination"),
  "an unknown reason": ({ unload }) => void unload("boredom"),
  "no reason": ({ unload }) => void unload(null),
  "plain Deno": ({ plain }) => void plain(),
  "drain": ({ drain }) => void drain(),
};

for (const [name, end] of Object.entries(ENDS)) {
  Deno.test(`IsolateLifecycle rejects new requests, completes those that run, then shuts the pools down: ${name}`, () => {
    const rig = setUp();
    const [first, second] = [rig.life.beginRequest(), rig.life.beginRequest()];
    end(rig);
    assertThrows(() => rig.life.beginRequest(), PoolClosedError);
    assertEquals([rig.shut, rig.clock.timers], [[], 1]);
    first();
    first(); // the second call has no effect
    assertEquals(rig.shut, []);
    second();
    assertEquals([rig.shut, rig.clock.timers, rig.life.isClosed], [[undefined], 0, true]);
    end(rig);
    assertEquals([rig.shut, rig.clock.timers], [[undefined], 0]);
  });

  Deno.test(`IsolateLifecycle shuts the pools down at once if no request runs: ${name}`, () => {
    const rig = setUp();
    rig.life.beginRequest()();
    end(rig);
    assertEquals([rig.shut, rig.clock.timers], [[undefined], 0]);
    assertThrows(() => rig.life.beginRequest(), PoolClosedError);
  });

  Deno.test(`IsolateLifecycle shuts the pools down after drainMs if a request still runs: ${name}`, async () => {
    const rig = setUp(100, 300);
    const endRequest = rig.life.beginRequest();
    end(rig);
    await rig.clock.advance(299);
    assertEquals(rig.shut, []);
    await rig.clock.advance(1);
    assertEquals(rig.shut, [0, 0]);
    endRequest();
    assertEquals([rig.shut, rig.clock.timers], [[0, 0], 0]);
  });
}

Deno.test("IsolateLifecycle shuts the pools down at once on early_drop, also during a drain", () => {
  const idle = setUp();
  idle.unload("early_drop");
  assertEquals([idle.shut, idle.life.isClosed], [[0], true]);
  const draining = setUp();
  draining.life.beginRequest();
  draining.drain();
  draining.unload("early_drop");
  assertEquals([draining.shut, draining.clock.timers], [[0], 0]);
});

Deno.test("IsolateLifecycle.onMemoryLow() is called on memory, and the isolate continues", () => {
  const { life, unload, shut, clock } = setUp();
  let dropped = 0;
  life.onMemoryLow(() => dropped++);
  const endRequest = life.beginRequest();
  unload("memory");
  life.beginRequest()();
  endRequest();
  assertEquals([dropped, shut, clock.timers, life.isClosed], [1, [], 0, false]);
  unload("wall_clock");
  assertEquals([dropped, shut], [1, [undefined]]);
});

Deno.test("IsolateLifecycle shuts all pools down although one of the shutdowns rejects", async () => {
  const { life, drain, shut } = setUp();
  life.registerPools({ drainMs: 1, shutdown: () => Promise.reject(new Error("no")) });
  life.registerPools({ drainMs: 1, shutdown: (deadlineMs) => Promise.resolve(void shut.push(deadlineMs)) });
  drain();
  await Promise.resolve();
  assertEquals(shut, [undefined, undefined]);
});

Deno.test("IsolateLifecycle drains once: a second event changes neither the deadline nor the pools", async () => {
  const { life, unload, drain, shut, clock } = setUp(100);
  const endRequest = life.beginRequest();
  unload("wall_clock");
  await clock.advance(60);
  drain();
  unload("cpu");
  assertEquals([shut, clock.timers], [[], 1]);
  await clock.advance(40);
  assertEquals([shut, clock.timers], [[0], 0]);
  endRequest();
  drain();
  unload("early_drop");
  assertEquals(shut, [0]);
});
