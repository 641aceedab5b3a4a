import { assertEquals, assertThrows } from "@std/assert";
import { VariableReader } from "../../shared/environment/mod.ts";
import {
  DEFAULT_HANDLER_SETTINGS,
  parseHandlerSettings,
  readHandlerSettings,
} from "../../shared/http/handler/handler_settings.ts";
import { ConfigError } from "../../shared/pool/mod.ts";

const RANGES = { rememberTokensMs: [0, 60_000], deadlineMs: [1, 2_147_483_647] } as const;
const VARIABLES = { rememberTokensMs: "POOL_REMEMBER_TOKENS_MS", deadlineMs: "POOL_DEADLINE_MS" } as const;

Deno.test("parseHandlerSettings() accepts whole numbers within the range of each setting", () => {
  for (const [name, [least, most]] of Object.entries(RANGES)) {
    for (const value of [least, most]) {
      const expected = { ...DEFAULT_HANDLER_SETTINGS, [name]: value };
      assertEquals(parseHandlerSettings({ [name]: value }, DEFAULT_HANDLER_SETTINGS), expected);
    }
    for (const value of [least - 1, most + 1, least + 0.5, NaN, Infinity]) {
      assertThrows(
        () => parseHandlerSettings({ [name]: value }, DEFAULT_HANDLER_SETTINGS),
        ConfigError,
        `${name}: is ${value}`,
      );
    }
  }
  assertEquals(parseHandlerSettings({}, DEFAULT_HANDLER_SETTINGS), { rememberTokensMs: 60_000, deadlineMs: 150_000 });
});

Deno.test("readHandlerSettings() reads each setting within its range, and has a default for what is not set", () => {
  for (const name of ["rememberTokensMs", "deadlineMs"] as const) {
    const [least, most] = RANGES[name];
    for (const [value, isGood] of [[least, true], [most, true], [least - 1, false], [most + 1, false]] as const) {
      const reader = new VariableReader({ [VARIABLES[name]]: `${value}` });
      const expected = { ...DEFAULT_HANDLER_SETTINGS, ...(isGood ? { [name]: value } : {}) };
      assertEquals(readHandlerSettings(reader), expected);
      assertEquals(reader.issues.map(({ path }) => path), isGood ? [] : [VARIABLES[name]]);
    }
  }
  assertEquals(readHandlerSettings(new VariableReader({})), DEFAULT_HANDLER_SETTINGS);
});
