/**
 * Validation of a handler's options that does not depend on the environment.
 *
 * @module
 */
import { ConfigError, type ConfigIssue, type Lane } from "../../pool/mod.ts";
import { parseSupabasePoolConfig, type SupabasePoolConfig } from "../../supabase/mod.ts";
import { asPoolConfig } from "./client_options.ts";
import { MIN_JWT_SECRET_BYTES } from "./environment.ts";
import { DEFAULT_HANDLER_SETTINGS, parseHandlerSettings } from "./handler_settings.ts";
import { LOG_LEVELS } from "../logging/pool_events.ts";
import { fleetIssues } from "../fleet/fleet_settings.ts";
import { corsIssues } from "../responses/cors.ts";
import type { PooledSupabaseOptions } from "./handler_options.ts";
import type { LeaseDefaults } from "../request/pooled_context.ts";

const MODE = /^(none|user|(publishable|secret)(:.*)?)$/;

const LANES: readonly string[] = ["admin", "high", "normal", "low"] satisfies Lane[];

/** A size of the pool that no other option can exceed. */
const MAX_CONNECTIONS = 10_000;

/** Rejects unknown modes: `@supabase/server` takes `users` for `user` with a key, without our rules for users. */
function* authModeIssues(auth: unknown): Generator<ConfigIssue> {
  const modes: unknown[] = Array.isArray(auth) ? auth : [auth];
  if (modes.slice(0, -1).includes("none")) {
    yield { path: "auth", message: 'must list "none" last: it matches every request' };
  }
  for (const mode of modes) {
    if (typeof mode === "string" && MODE.test(mode)) continue;
    const shown = typeof mode === "string" ? JSON.stringify(mode.slice(0, 40)) : `a ${typeof mode}`;
    const message = `is ${shown}, must be none, user, publishable, secret, or a named key such as publishable:web`;
    yield { path: "auth", message };
  }
}

function* secretIssues(secret: string): Generator<ConfigIssue> {
  // An empty secret, from a variable that is not set for example, would let anyone sign.
  if (new TextEncoder().encode(secret).length >= MIN_JWT_SECRET_BYTES) return;
  yield { path: "jwtSecret", message: `is shorter than ${MIN_JWT_SECRET_BYTES} bytes` };
}

function* leaseIssues({ lane, timeoutMs }: LeaseDefaults): Generator<ConfigIssue> {
  if (lane !== undefined && !LANES.includes(lane)) {
    yield { path: "lease.lane", message: `must be one of ${LANES.join(", ")}` };
  }
  if (timeoutMs !== undefined && !(typeof timeoutMs === "number" && timeoutMs >= 0)) {
    yield { path: "lease.timeoutMs", message: "must be a number of ms from 0 to Infinity" };
  }
}

/** Returns the issues of the `ConfigError` that `check` throws, if it throws one. */
function issuesOf(check: () => unknown, prefix = ""): readonly ConfigIssue[] {
  try {
    check();
    return [];
  } catch (error) {
    if (!(error instanceof ConfigError)) throw error;
    return error.issues.map(({ path, message }) => ({ path: prefix + path, message }));
  }
}

/** Checks each option of the pools alone: the environment may contain the others. */
function checkPool(pool: Partial<SupabasePoolConfig>): void {
  parseSupabasePoolConfig({ ...pool, maxConnections: pool.maxConnections ?? MAX_CONNECTIONS });
}

/**
 * Checks all options that do not depend on the environment.
 *
 * @throws {ConfigError} listing every bad option.
 */
export function checkOptions<Database>(options: PooledSupabaseOptions<Database>): void {
  const { auth, allow, jwtSecret, lease, cors, flowKey, supabaseOptions, pool, logLevel, logSample, fleet } = options;
  const issues = [
    ...authModeIssues(auth ?? allow ?? "user"),
    ...jwtSecret === undefined ? [] : secretIssues(jwtSecret),
    ...issuesOf(() => parseHandlerSettings(options, DEFAULT_HANDLER_SETTINGS)),
    ...lease === undefined ? [] : leaseIssues(lease),
    ...cors === undefined ? [] : corsIssues(cors),
    ...fleetIssues(fleet),
  ];
  if (logLevel !== undefined && !LOG_LEVELS.includes(logLevel)) {
    issues.push({ path: "logLevel", message: `must be one of ${LOG_LEVELS.join(", ")}` });
  }
  if (logSample !== undefined && !(typeof logSample === "number" && logSample >= 0 && logSample <= 1)) {
    issues.push({ path: "logSample", message: "must be a number from 0 to 1" });
  }
  if (flowKey !== undefined && typeof flowKey !== "function") {
    issues.push({ path: "flowKey", message: `is a ${typeof flowKey}, must be a function` });
  }
  let clientOptions: Partial<SupabasePoolConfig> = {};
  if (supabaseOptions) issues.push(...issuesOf(() => clientOptions = asPoolConfig(supabaseOptions)));
  if (supabaseOptions || pool) issues.push(...issuesOf(() => checkPool({ ...clientOptions, ...pool }), "pool."));
  if (issues.length > 0) throw new ConfigError(issues, "options of withPooledSupabase");
}
