/**
 * What the environment of an edge function says about the project and the
 * pools, checked in one go.
 *
 * @module
 */
import type { SupabaseEnv } from "@supabase/server";
import { ConfigError, type ConfigIssue } from "../pool/mod.ts";
import { type Keys, readApiKeys, readJwks, valueOf, type Variables } from "./environment_keys.ts";
import { type PoolVariables, readPoolVariables } from "./environment_pool.ts";

export type { Keys, Variables } from "./environment_keys.ts";
export { DEFAULT_HANDLER_SETTINGS, type HandlerSettings, parseHandlerSettings } from "./handler_settings.ts";
export { type PoolVariables, poolVariables } from "./environment_pool.ts";

/** Shortest shared secret for HS256: RFC 7518, section 3.2, wants a key as long as the hash. */
export const MIN_JWT_SECRET_BYTES = 32;

/** A checked environment. */
export interface Environment extends Keys, PoolVariables {
  /** The project's URL, from `SUPABASE_URL`, without a trailing slash. */
  readonly url: string;
  /** Where the keys come from that verify tokens; `null` when nowhere. */
  readonly jwks: SupabaseEnv["jwks"];
  /** The secret of HS256 tokens, from `JWT_SECRET`: older projects and the local stack. */
  readonly jwtSecret: string | undefined;
}

function readUrl(variables: Variables, issues: ConfigIssue[]): URL | undefined {
  const path = "SUPABASE_URL";
  const raw = valueOf(variables, path);
  if (raw === undefined) {
    issues.push({ path, message: "is not set; must be the project's URL, such as https://<project-ref>.supabase.co" });
    return undefined;
  }
  const url = URL.canParse(raw) ? new URL(raw) : undefined;
  if (url === undefined || !/^https?:$/.test(url.protocol)) {
    issues.push({ path, message: "is set, but is no http or https URL" });
    return undefined;
  }
  if (url.username !== "" || url.password !== "" || url.search !== "" || url.hash !== "") {
    issues.push({ path, message: "must hold no user, password, query or fragment" });
    return undefined;
  }
  return url;
}

function readJwtSecret(variables: Variables, issues: ConfigIssue[]): string | undefined {
  // Taken as it stands: a blank at either end may belong to a secret.
  const secret = variables["JWT_SECRET"];
  if (secret === undefined || secret === "") return undefined;
  if (new TextEncoder().encode(secret).length < MIN_JWT_SECRET_BYTES) {
    issues.push({ path: "JWT_SECRET", message: `is set, but shorter than ${MIN_JWT_SECRET_BYTES} bytes` });
  }
  return secret;
}

/**
 * Reads and checks everything the functions take from their environment:
 *
 * - `SUPABASE_URL`;
 * - the API keys and the JWKS, as `@supabase/server` names them, and the legacy
 *   `SUPABASE_ANON_KEY` and `SUPABASE_SERVICE_ROLE_KEY` where no newer key is set;
 * - `JWT_SECRET`, for tokens signed with HS256;
 * - `POOL_PRESET`, `POOL_HEADERS`, one `POOL_*` variable to each option of the
 *   pool, such as `POOL_MAX_CONNECTIONS` or `POOL_ACQUIRE_TIMEOUT_MS`, and one to
 *   each of the {@linkcode HandlerSettings}.
 *
 * @param variables Default: the variables of this process.
 * @throws {ConfigError} listing every bad variable, what it held (of a key or
 * secret only its kind) and what it may hold.
 */
export function readEnvironment(variables: Variables = Deno.env.toObject()): Environment {
  const issues: ConfigIssue[] = [];
  const url = readUrl(variables, issues);
  const keys = readApiKeys(variables, issues);
  const jwks = readJwks(variables, url, issues);
  const jwtSecret = readJwtSecret(variables, issues);
  const { pool, poolHeaders, handler } = readPoolVariables(variables, issues);
  if (url === undefined || issues.length > 0) throw new ConfigError(issues, "environment");
  return Object.freeze({ url: url.href.replace(/\/+$/, ""), ...keys, jwks, jwtSecret, pool, poolHeaders, handler });
}
