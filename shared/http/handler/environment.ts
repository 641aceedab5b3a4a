/**
 * The environment of an edge function, read and checked at once.
 *
 * @module
 */
import type { SupabaseEnv } from "@supabase/server";
import { VariableReader, type Variables } from "../../environment/mod.ts";
import { ConfigError, whole } from "../../pool/mod.ts";
import type { LegacyKeys } from "../auth/legacy_keys.ts";
import { decodeClaims, readProjectVariables, type SupabaseEnvironment } from "../../supabase/mod.ts";
import { type FleetSettings, readFleetSettings } from "../fleet/fleet_settings.ts";
import { type LogSettings, readLogSettings } from "../logging/pool_events.ts";
import { readTracing } from "../tracing/tracing_link.ts";
import { type HandlerSettings, readHandlerSettings } from "./handler_settings.ts";

/** The minimum length of the shared secret for HS256 (RFC 7518, section 3.2: a key as long as the hash), in bytes. */
export const MIN_JWT_SECRET_BYTES = 32;

const memoryLimitMb = whole(0, 1_000_000);

/** The environment of a function, checked. */
export interface Environment extends SupabaseEnvironment {
  /** The keys that verify tokens, or the URL to fetch them from. `null`: none. */
  readonly jwks: SupabaseEnv["jwks"];
  /** The secret of HS256 tokens, from `JWT_SECRET`: for older projects. */
  readonly jwtSecret: string | undefined;
  /** The legacy keys, which a project has beside its newer ones. */
  readonly legacyKeys: LegacyKeys;
  /** True if responses carry the `X-Pool-*` headers, from `POOL_HEADERS`. Default: true. */
  readonly poolHeaders: boolean;
  /**
   * The memory of the isolate, in bytes, from `POOL_MEMORY_LIMIT_MB`: caches are dropped and limits halved near it.
   * Default: 256 MB on the hosted runtime, and none elsewhere.
   */
  readonly memoryLimitBytes: number | undefined;
  /** True if requests are traced, from `POOL_TRACING`. Default: whether `OTEL_DENO` is `true`. */
  readonly tracing: boolean;
  /** True if metrics are taken, from `POOL_METRICS`. Default: decided by the runtime; see `areMetricsOn`. */
  readonly metrics: boolean | undefined;
  /** The settings of the log, from `POOL_LOG_LEVEL` and `POOL_LOG_SAMPLE`. */
  readonly log: LogSettings;
  /** The settings of the fleet. */
  readonly fleet: FleetSettings;
  /** The settings of handlers. Settings without a variable have their default. */
  readonly handler: Readonly<HandlerSettings>;
}

/** Keys that are fetched over plain HTTP could be replaced on the way. Only loopback addresses are exempt. */
function isSafeUrl({ protocol, hostname }: URL): boolean {
  if (protocol === "https:") return true;
  const loopback = hostname === "localhost" || hostname.endsWith(".localhost") || hostname === "[::1]" ||
    /^127\.\d{1,3}\.\d{1,3}\.\d{1,3}$/.test(hostname);
  return protocol === "http:" && loopback;
}

function parseJwks(raw: string): SupabaseEnv["jwks"] | undefined {
  try {
    const parsed: unknown = JSON.parse(raw);
    if (Array.isArray(parsed)) return { keys: parsed };
    if (typeof parsed !== "object" || parsed === null || !("keys" in parsed)) return undefined;
    return Array.isArray(parsed.keys) ? { ...parsed, keys: parsed.keys } : undefined;
  } catch {
    return undefined;
  }
}

/**
 * Reads the source of the keys that verify tokens, by the rules of `@supabase/server`: `SUPABASE_JWKS` (inline JSON),
 * or `SUPABASE_JWKS_URL`, or the well-known URL below `SUPABASE_PUBLIC_URL` or `projectUrl`. Returns `null` when that
 * URL is plain HTTP on another machine. Unlike there, a malformed value is an issue.
 */
function readJwks(reader: VariableReader, projectUrl: string): SupabaseEnv["jwks"] {
  const inline = reader.text("SUPABASE_JWKS");
  if (inline !== undefined) {
    const jwks = parseJwks(inline);
    if (jwks === undefined) {
      reader.issues.push({
        path: "SUPABASE_JWKS",
        message: 'must be a JSON Web Key Set, for example {"keys":[\u2026]}',
      });
    }
    return jwks ?? null;
  }
  const address = reader.text("SUPABASE_JWKS_URL");
  if (address !== undefined) {
    const parsed = URL.canParse(address) ? new URL(address) : undefined;
    if (parsed !== undefined && isSafeUrl(parsed)) return parsed;
    reader.issues.push({ path: "SUPABASE_JWKS_URL", message: "must be an https URL, or an http URL of this machine" });
    return null;
  }
  const publicUrl = reader.text("SUPABASE_PUBLIC_URL");
  if (publicUrl !== undefined && !URL.canParse(publicUrl)) {
    reader.issues.push({ path: "SUPABASE_PUBLIC_URL", message: "must be an http or https URL" });
    return null;
  }
  const base = publicUrl ?? projectUrl;
  if (base === "") return null;
  const wellKnown = new URL(base);
  wellKnown.pathname = wellKnown.pathname.replace(/(?<!\/)\/+$/, "") + "/auth/v1/.well-known/jwks.json";
  wellKnown.search = "";
  wellKnown.hash = "";
  return isSafeUrl(wellKnown) ? wellKnown : null;
}

function readJwtSecret(reader: VariableReader): string | undefined {
  const path = "JWT_SECRET";
  const secret = reader.text(path, { secret: true });
  if (secret !== undefined && new TextEncoder().encode(secret).length < MIN_JWT_SECRET_BYTES) {
    reader.issues.push({ path, message: `must have at least ${MIN_JWT_SECRET_BYTES} bytes` });
  }
  return secret;
}

/** The memory of a hosted isolate, in MB. */
const HOSTED_MEMORY_MB = 256;

/** Reads the limit of memory, in bytes. 0 stands for none. */
function readMemoryLimit(reader: VariableReader): number | undefined {
  const name = "POOL_MEMORY_LIMIT_MB";
  const own = reader.value(name, memoryLimitMb);
  const limitMb = own ?? (reader.text("SB_EXECUTION_ID") === undefined ? 0 : HOSTED_MEMORY_MB);
  return limitMb === 0 ? undefined : limitMb * 2 ** 20;
}

/** Reads the legacy keys. One whose role is not that of its variable counts as none. */
function readLegacyKeys(reader: VariableReader): LegacyKeys {
  const read = (name: string, role: string) => {
    const key = reader.text(name, { secret: true });
    return key !== undefined && decodeClaims(key)?.role === role ? key : undefined;
  };
  return {
    anon: read("SUPABASE_ANON_KEY", "anon"),
    serviceRole: read("SUPABASE_SERVICE_ROLE_KEY", "service_role"),
  };
}

/**
 * Reads and checks the environment of a function:
 *
 * - `SUPABASE_URL`, the API keys and `POOL_*` (see {@linkcode readSupabaseEnvironment});
 * - `SUPABASE_JWKS`, `SUPABASE_JWKS_URL` or `SUPABASE_PUBLIC_URL`, as `@supabase/server` reads them;
 * - `JWT_SECRET`, for tokens signed with HS256;
 * - `POOL_MEMORY_LIMIT_MB`;
 * - `POOL_FLEET`, `POOL_FLEET_CAP`, `POOL_ALERT_WEBHOOK_*` and `REDIS_URL` (see {@linkcode FleetSettings});
 * - `POOL_METRICS`;
 * - `POOL_TRACING` and `OTEL_DENO`, `POOL_LOG_LEVEL` and `POOL_LOG_SAMPLE`;
 * - `POOL_HEADERS`, `POOL_REMEMBER_TOKENS_MS` and `POOL_DEADLINE_MS` (see {@linkcode HandlerSettings}).
 *
 * @param variables Default: the variables of this process.
 * @throws {ConfigError} listing every bad variable, its value (hidden where it may be secret) and the valid values.
 */
export function readEnvironment(variables?: Variables): Environment {
  const reader = new VariableReader(variables);
  const project = readProjectVariables(reader);
  const environment: Environment = Object.freeze({
    ...project,
    jwks: readJwks(reader, project.url),
    jwtSecret: readJwtSecret(reader),
    legacyKeys: readLegacyKeys(reader),
    memoryLimitBytes: readMemoryLimit(reader),
    poolHeaders: reader.switch("POOL_HEADERS") ?? true,
    tracing: readTracing(reader),
    metrics: reader.switch("POOL_METRICS"),
    log: readLogSettings(reader),
    fleet: readFleetSettings(reader),
    handler: readHandlerSettings(reader),
  });
  if (reader.issues.length > 0) throw new ConfigError(reader.issues, "environment");
  return environment;
}
