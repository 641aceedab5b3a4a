import { assertEquals, assertStringIncludes, assertThrows } from "@std/assert";
import {
  ConfigError,
  DEFAULT_POOL_CONFIG,
  parseConfig,
  parsePoolConfig,
  type PoolConfig,
  poolConfigShape,
  PRESETS,
} from "../../shared/pool/mod.ts";

Deno.test("the defaults are those of the specification", () => {
  const { maxConnections, minConnections, idleTimeoutMs, acquireTimeoutMs, createRetryDelayMs } = parsePoolConfig();
  assertEquals([maxConnections, minConnections, idleTimeoutMs, acquireTimeoutMs, createRetryDelayMs], [
    10,
    2,
    30_000,
    5_000,
    100,
  ]);
});

Deno.test("the presets are those of the specification", () => {
  assertEquals(PRESETS.development, { maxConnections: 5, minConnections: 1, idleTimeoutMs: 15_000 });
  assertEquals(PRESETS.production, {
    maxConnections: 20,
    minConnections: 5,
    idleTimeoutMs: 60_000,
    acquireTimeoutMs: 10_000,
  });
  assertEquals(PRESETS["high-load"], {
    maxConnections: 50,
    minConnections: 10,
    idleTimeoutMs: 120_000,
    acquireTimeoutMs: 15_000,
  });
  for (const preset of Object.values(PRESETS)) parsePoolConfig(preset);
});

Deno.test("minConnections follows a smaller maxConnections unless it is given", () => {
  assertEquals(parsePoolConfig({ maxConnections: 1 }).minConnections, 1);
  assertThrows(
    () => parsePoolConfig({ maxConnections: 1, minConnections: 2 }),
    ConfigError,
    "at most maxConnections (1)",
  );
});

Deno.test("every bad value is listed with what it may hold", () => {
  const bad = {
    maxConnections: 0,
    idleTimeoutMs: 1.5,
    acquireTimeoutMs: "soon",
    lifetimeJitter: 2,
    maxUses: 0,
    max: 3,
  };
  const error = assertThrows(() => parsePoolConfig(bad as unknown as Partial<PoolConfig>), ConfigError);
  assertEquals(error.issues.map(({ path }) => path), Object.keys(bad));
  for (
    const part of [
      "maxConnections: is 0, must be a whole number from 1 to 10000",
      "idleTimeoutMs: is 1.5, must be a whole number from 1 to",
      "acquireTimeoutMs: is a string, must be",
      "lifetimeJitter: is 2, must be a number from 0 to 0.5",
      "max: unknown option; valid options: maxConnections, ",
    ]
  ) assertStringIncludes(error.message, part);
});

for (const value of [NaN, -1, Infinity, null, 1n, {}, [], true]) {
  Deno.test(`maxConnections may not be ${typeof value === "bigint" ? "1n" : JSON.stringify(value) ?? String(value)}`, () => {
    const bad = { maxConnections: value } as unknown as Partial<PoolConfig>;
    assertThrows(() => parsePoolConfig(bad), ConfigError, "must be a whole number from 1 to 10000");
  });
}

Deno.test("an option that is undefined counts as missing", () => {
  const input = { maxConnections: undefined } as unknown as Partial<PoolConfig>;
  assertEquals(parsePoolConfig(input), { ...DEFAULT_POOL_CONFIG });
});

Deno.test("no schema is made for an option that is not given, or given as its default", () => {
  const made: string[] = [];
  const shape = Object.fromEntries(
    Object.entries(poolConfigShape).map(([option, schema]) => [option, () => (made.push(option), schema())]),
  ) as typeof poolConfigShape;
  const { captureLeaseStacks: _, ...others } = DEFAULT_POOL_CONFIG;
  assertEquals(parseConfig({ ...others }, shape, DEFAULT_POOL_CONFIG), DEFAULT_POOL_CONFIG);
  assertEquals(made, []);
  parseConfig({ ...others, agingMs: 7 }, shape, DEFAULT_POOL_CONFIG);
  assertEquals(made, ["agingMs"]);
});
