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

Deno.test("parsePoolConfig() has the defaults of the specification", () => {
  const { maxConnections, minConnections, idleTimeoutMs, acquireTimeoutMs, createRetryDelayMs } = parsePoolConfig();
  assertEquals([maxConnections, minConnections, idleTimeoutMs, acquireTimeoutMs, createRetryDelayMs], [
    10,
    2,
    30_000,
    5_000,
    100,
  ]);
});

Deno.test("PRESETS are those of the specification", () => {
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

Deno.test("parsePoolConfig() lowers a missing minConnections to maxConnections", () => {
  assertEquals(parsePoolConfig({ maxConnections: 1 }).minConnections, 1);
  assertThrows(
    () => parsePoolConfig({ maxConnections: 1, minConnections: 2 }),
    ConfigError,
    "at most maxConnections (1)",
  );
});

Deno.test("parsePoolConfig() lists every invalid value with its valid range", () => {
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
      "maxConnections: is 0, must be Infinity or a whole number from 1 to 10000",
      "idleTimeoutMs: is 1.5, must be a whole number from 1 to",
      "acquireTimeoutMs: is a string, must be",
      "lifetimeJitter: is 2, must be a number from 0 to 0.5",
      "max: unknown option; valid options: maxConnections, ",
    ]
  ) assertStringIncludes(error.message, part);
});

for (const value of [NaN, -1, -Infinity, 10_001, null, 1n, {}, [], true]) {
  Deno.test(`parsePoolConfig() rejects a maxConnections of ${typeof value === "bigint" ? "1n" : typeof value === "number" ? value : JSON.stringify(value)}`, () => {
    const bad = { maxConnections: value } as unknown as Partial<PoolConfig>;
    assertThrows(() => parsePoolConfig(bad), ConfigError, "must be Infinity or a whole number from 1 to 10000");
  });
}

Deno.test("parsePoolConfig() treats an undefined option as missing", () => {
  const input = { maxConnections: undefined } as unknown as Partial<PoolConfig>;
  assertEquals(parsePoolConfig(input), { ...DEFAULT_POOL_CONFIG });
});

Deno.test("parseConfig() creates no schema for an option that is missing or has its default", () => {
  const options: string[] = [];
  const shape = Object.fromEntries(
    Object.entries(poolConfigShape).map(([option, schema]) => [option, () => (options.push(option), schema())]),
  ) as typeof poolConfigShape;
  const { captureLeaseStacks: _, ...others } = DEFAULT_POOL_CONFIG;
  assertEquals(parseConfig({ ...others }, shape, DEFAULT_POOL_CONFIG), DEFAULT_POOL_CONFIG);
  assertEquals(options, []);
  parseConfig({ ...others, agingMs: 7 }, shape, DEFAULT_POOL_CONFIG);
  assertEquals(options, ["agingMs"]);
});

Deno.test("parsePoolConfig() names only the kind of a value that could be long or a secret", () => {
  const values: [value: unknown, said: string][] = [
    [() => 1, "is a function"],
    [Symbol("secret"), "is a symbol"],
    ["secret", "is a string"],
    [[1], "is an array"],
    [{ secret: 1 }, "is an object"],
    [null, "is null"],
    [1.5, "is 1.5"],
  ];
  for (const [value, said] of values) {
    const error = assertThrows(() => parsePoolConfig({ maxConnections: value as number }), ConfigError, said);
    assertEquals(error.message.includes("secret"), false);
  }
});

Deno.test("parsePoolConfig() lists every invalid value, of each kind", () => {
  const error = assertThrows(
    () => parsePoolConfig({ maxConnections: 5, minConnections: 6, idleTimeoutMs: -1 }),
    ConfigError,
  );
  assertEquals(error.issues.map(({ path }) => path).sort(), ["idleTimeoutMs", "minConnections"]);
});
