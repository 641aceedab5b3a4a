/** Tests each option of a pool at the least and the most that it accepts. */
import { assert, assertEquals, assertThrows } from "@std/assert";
import { ConfigError, parsePoolConfig, poolConfigShape } from "../../shared/pool/mod.ts";
import { invalidAcquire, isFlow, isMs } from "../../shared/pool/acquire_options.ts";

const TIMER = 2_147_483_647;

/** The range of each numeric option. */
const RANGES: Record<string, readonly [least: number, most: number]> = {
  maxConnections: [1, 10_000],
  minConnections: [0, 10_000],
  reservedConnections: [0, 10_000],
  maxWaiters: [0, 10_000_000],
  agingMs: [1, TIMER],
  idleTimeoutMs: [1, TIMER],
  acquireTimeoutMs: [1, TIMER],
  maxLifetimeMs: [1, TIMER],
  validateAfterIdleMs: [0, TIMER],
  leakThresholdMs: [1, TIMER],
  createTimeoutMs: [1, TIMER],
  validateTimeoutMs: [1, TIMER],
  resetTimeoutMs: [1, TIMER],
  destroyTimeoutMs: [1, TIMER],
  shutdownTimeoutMs: [0, TIMER],
  createRetryDelayMs: [1, TIMER],
  createRetryMs: [0, TIMER],
  maxUses: [1, Number.MAX_SAFE_INTEGER],
};
const SWITCHES = ["priorities", "fairShare", "captureLeaseStacks"];
const ENDLESS = ["maxConnections", "createRetryMs", "maxUses"];

const accepts = (name: string, value: unknown) =>
  poolConfigShape[name as keyof typeof poolConfigShape]().safeParse(value).success;

Deno.test("poolConfigShape has each option in the tables of its ranges", () => {
  assertEquals(
    Object.keys(poolConfigShape).toSorted(),
    [...Object.keys(RANGES), ...SWITCHES, "lifetimeJitter"].toSorted(),
  );
});

Deno.test("poolConfigShape accepts whole numbers within the range of each option, and names the range", () => {
  for (const [name, [least, most]] of Object.entries(RANGES)) {
    for (const value of [least, most]) assert(accepts(name, value), `${name}: ${value}`);
    for (const value of [least - 1, most + 1, least + 0.5, NaN, -Infinity, `${least}`, null]) {
      assert(!accepts(name, value), `${name}: ${value}`);
    }
    assertEquals(accepts(name, Infinity), ENDLESS.includes(name), name);
    const error = assertThrows(() => parsePoolConfig({ [name]: least - 1 }), ConfigError);
    const range = `whole number from ${least} to ${most}`;
    assertEquals(error.issues, [{
      path: name,
      message: `is ${least - 1}, must be ${ENDLESS.includes(name) ? "Infinity or " : ""}a ${range}`,
    }]);
  }
});

Deno.test("poolConfigShape accepts switches, and a jitter from 0 to 0.5", () => {
  for (const name of SWITCHES) {
    assertEquals([true, false, 1, "true", null].map((value) => accepts(name, value)), [
      true,
      true,
      false,
      false,
      false,
    ]);
  }
  const jitters = [0, 0.25, 0.5, -0.001, 0.501, NaN, "0"];
  assertEquals(jitters.map((value) => accepts("lifetimeJitter", value)), [
    true,
    true,
    true,
    false,
    false,
    false,
    false,
  ]);
});

Deno.test("isMs() accepts numbers from 0 to Infinity", () => {
  assertEquals([0, 0.5, 1, Infinity].map(isMs), [true, true, true, true]);
  assertEquals([-1, -0.001, NaN, -Infinity, "1", null, undefined].map(isMs), new Array(7).fill(false));
});

Deno.test("isFlow() accepts a key, alone or with a weight from 0.001 to 1,000", () => {
  const good = ["a", "", { key: "a" }, { key: "a", weight: 0.001 }, { key: "a", weight: 1_000 }];
  assertEquals(good.map(isFlow), good.map(() => true));
  const weights = [0, 0.0009, 1_000.1, NaN, Infinity, "1", null].map((weight) => ({ key: "a", weight }));
  const bad = [null, undefined, 1, {}, [], { key: 1 }, { weight: 1 }, ...weights];
  assertEquals(bad.map(isFlow), bad.map(() => false));
});

Deno.test("invalidAcquire() lists each bad option, and accepts those that are missing", () => {
  const { signal } = new AbortController();
  for (const lane of ["admin", "high", "normal", "low", "probe"]) {
    assertEquals(invalidAcquire(false, lane, undefined, undefined, undefined), undefined);
    assertEquals(invalidAcquire(false, lane, 0, signal, "a"), undefined);
  }
  const error = invalidAcquire(true, "fast", -1, {} as AbortSignal, 5);
  assert(error instanceof ConfigError);
  assertEquals(error.issues.map(({ path }) => path), ["options", "signal", "timeoutMs", "lane", "flow"]);
  assertEquals(error.issues[2]?.message, "is -1, must be a number of ms from 0 to Infinity");
  for (const bad of [null, 1, "signal", { aborted: false }, { aborted: false, addEventListener: 1 }]) {
    assert(invalidAcquire(false, "low", undefined, bad as unknown as AbortSignal, undefined) instanceof ConfigError);
  }
});
