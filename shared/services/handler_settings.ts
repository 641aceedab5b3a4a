/**
 * What concerns a handler as a whole and fits in a variable.
 *
 * @module
 */
import { ConfigError, type ConfigIssue, whole } from "../pool/mod.ts";
import { MAX_TIMER_MS } from "../resilience/mod.ts";

/** How a handler treats its requests. Times are in milliseconds. */
export interface HandlerSettings {
  /**
   * How long a verified token is remembered: neither past its own expiry nor
   * past a change of the project's keys. 0 verifies each token each time.
   * Default and most: 60,000.
   */
  readonly rememberTokensMs: number;
  /**
   * How long a request may take until it is answered: waiting for a client,
   * every attempt and every body in it. Default: 150,000, when the hosted
   * gateway gives up.
   */
  readonly deadlineMs: number;
}

/** The value of each setting that is not given. */
export const DEFAULT_HANDLER_SETTINGS: Readonly<HandlerSettings> = Object.freeze({
  rememberTokensMs: 60_000,
  deadlineMs: 150_000,
});

/** One schema to a setting; a message says the allowed range. */
export const handlerSettingsShape = {
  rememberTokensMs: whole(0, 60_000),
  deadlineMs: whole(1, MAX_TIMER_MS),
} satisfies Record<keyof HandlerSettings, unknown>;

/** The names of the settings. */
export const HANDLER_SETTINGS = Object.keys(handlerSettingsShape) as readonly (keyof HandlerSettings)[];

/**
 * The settings in `given`, and those of `otherwise` for what is not there.
 *
 * @throws {ConfigError} listing every bad value.
 */
export function parseHandlerSettings(
  given: { readonly [K in keyof HandlerSettings]?: number | undefined },
  otherwise: Readonly<HandlerSettings>,
): Readonly<HandlerSettings> {
  const issues: ConfigIssue[] = [];
  const settings: Record<keyof HandlerSettings, number> = { ...otherwise };
  for (const path of HANDLER_SETTINGS) {
    const value: unknown = given[path];
    if (value === undefined) continue;
    const result = handlerSettingsShape[path]().safeParse(value);
    if (result.success) settings[path] = result.data;
    else {
      const shown = typeof value === "number" ? value : `a ${typeof value}`;
      issues.push({ path, message: `is ${shown}, ${result.error.issues[0]?.message ?? "not allowed"}` });
    }
  }
  if (issues.length > 0) throw new ConfigError(issues, "options of withPooledSupabase");
  return settings;
}
