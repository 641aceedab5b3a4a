/**
 * The settings of a handler that a variable or an option of `withPooledSupabase` can set.
 *
 * @module
 */
import type { VariableReader } from "../../environment/mod.ts";
import { ConfigError, type ConfigIssue, whole } from "../../pool/mod.ts";
import { MAX_TIMER_MS } from "../../resilience/mod.ts";

/** The settings of a handler. */
export interface HandlerSettings {
  /**
   * The time a verified token is remembered, in ms: never past its own expiry or a change of the project's keys.
   * 0 verifies each token each time. Default and maximum: 60,000.
   */
  readonly rememberTokensMs: number;
  /**
   * The longest time for a request, in ms: queueing, retries and response bodies count. Default: 150,000, when the hosted
   * gateway gives up.
   */
  readonly deadlineMs: number;
}

/** The default of each setting. */
export const DEFAULT_HANDLER_SETTINGS: Readonly<HandlerSettings> = Object.freeze({
  rememberTokensMs: 60_000,
  deadlineMs: 150_000,
});

const SHAPE = {
  rememberTokensMs: whole(0, 60_000),
  deadlineMs: whole(1, MAX_TIMER_MS),
} satisfies Record<keyof HandlerSettings, unknown>;

/** Reads `POOL_REMEMBER_TOKENS_MS` and `POOL_DEADLINE_MS`. Issues go to `reader`. */
export function readHandlerSettings(reader: VariableReader): Readonly<HandlerSettings> {
  if (reader.namesWith("POOL_").length === 0) return DEFAULT_HANDLER_SETTINGS;
  return Object.freeze({
    rememberTokensMs: reader.value("POOL_REMEMBER_TOKENS_MS", SHAPE.rememberTokensMs) ??
      DEFAULT_HANDLER_SETTINGS.rememberTokensMs,
    deadlineMs: reader.value("POOL_DEADLINE_MS", SHAPE.deadlineMs) ?? DEFAULT_HANDLER_SETTINGS.deadlineMs,
  });
}

/**
 * Returns the settings of `given`, completed from `defaults`.
 *
 * @throws {ConfigError} listing every bad value.
 */
export function parseHandlerSettings(
  given: { readonly [K in keyof HandlerSettings]?: number | undefined },
  defaults: Readonly<HandlerSettings>,
): Readonly<HandlerSettings> {
  const issues: ConfigIssue[] = [];
  const settings: Record<keyof HandlerSettings, number> = { ...defaults };
  for (const path of Object.keys(SHAPE) as (keyof HandlerSettings)[]) {
    const value: unknown = given[path];
    if (value === undefined) continue;
    const result = SHAPE[path]().safeParse(value);
    if (result.success) settings[path] = result.data;
    else {
      const shown = typeof value === "number" ? value : `a ${typeof value}`;
      issues.push({ path, message: `is ${shown}, ${result.error.issues[0]?.message ?? "not allowed"}` });
    }
  }
  if (issues.length > 0) throw new ConfigError(issues, "options of withPooledSupabase");
  return settings;
}
