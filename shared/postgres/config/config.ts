/**
 * The checks of the options of a {@linkcode PostgresConnectionManager}.
 *
 * @module
 */
import * as z from "zod";
import {
  type LazySchema,
  lazySchema,
  limitedConnections,
  parseConfig,
  type PoolConfig,
  poolConfigShape,
  resilienceShape,
  whole,
  yesOrNo,
} from "../../pool/mod.ts";
import { MAX_TIMER_MS } from "../../resilience/mod.ts";
import { TARGET_SESSION_ATTRIBUTES } from "../connection/session.ts";
import { type TypeOverrides, TypeRegistry } from "../types/registry.ts";
import { unsendable } from "../types/text.ts";
import type { ConnectFunction } from "../wire/server_stream.ts";
import { DEFAULT_POSTGRES_CONFIG, type PostgresConfig, type PostgresOptions, withoutAliases } from "./options.ts";

/** The largest `maxResultBytes`: V8 holds no longer text. */
const MAX_TEXT_BYTES = 500_000_000;

const ms = (min: number) => whole(min, MAX_TIMER_MS);

/** The words that a placeholder is about. */
const SUBJECT =
  /\b(?:your|my|pass(?:word|wd)?|pwd|secret|project|ref|region|host|user(?:name)?|db|database|name|port)\b/i;

/** A marked placeholder: `[YOUR-PASSWORD]`, `<password>`, `{password}`, `{{password}}`, `${PASSWORD}`. */
const MARKED = /\[[a-z][\w .-]*\]|<[a-z][\w .-]*>|\$?\{{1,2} ?[a-z][\w .-]* ?\}{1,2}/gi;

/** A placeholder without marks: `your-password`, `YOUR_PROJECT_REF`, `yourpassword`. */
const UNMARKED =
  /\byour[-_ ]?(?:(?:db|database|postgres|supabase|super[-_ ]?secret)[-_ ]?)?(?:password|project(?:[-_ ]?(?:ref|id))?)\b/gi;

/**
 * Returns the placeholder in a value, or `undefined`. It is safe to show: a placeholder is not a secret.
 *
 * @param whole True if only a value that is nothing but a placeholder counts, as for a password.
 */
export function placeholderIn(value: string, whole: boolean): string | undefined {
  const marked = [...value.matchAll(MARKED)].map(([text]) => text)
    .filter((text) => SUBJECT.test(text.replace(/[^a-z]+/gi, " ")));
  const found = [...marked, ...[...value.matchAll(UNMARKED)].map(([text]) => text)];
  return whole ? found.find((text) => text === value.trim()) : found[0];
}

/**
 * The refinement of a schema that rejects a value with a placeholder of a document, which its error names.
 *
 * @param whole True if only a value that is nothing else counts.
 */
function noPlaceholder(whole: boolean) {
  const error = ({ input }: { readonly input?: unknown }) =>
    `must not contain the placeholder ${placeholderIn(String(input), whole)}: replace it with what it stands for`;
  return [(value: string) => placeholderIn(value, whole) === undefined, { error }] as const;
}

/** A string that the protocol can carry as it is. Its error never shows the value. */
const text = (error: string, min = 1, max = Infinity) =>
  lazySchema(() => {
    const fits = (value: string) => value.length >= min && value.length <= max && unsendable(value) === undefined;
    return z.string({ error }).refine(fits, { error }).refine(...noPlaceholder(true));
  });

function areOverrides(types: unknown): boolean {
  try {
    new TypeRegistry(types as TypeOverrides);
    return typeof types === "object" && types !== null;
  } catch {
    return false;
  }
}

const ssl = lazySchema(() => {
  const pem = z.string().includes("-----BEGIN ").optional();
  const own = z.strictObject({ ca: pem, cert: pem, key: pem, rejectUnauthorized: yesOrNo().optional() });
  return z.union([z.boolean(), own], {
    error: "must be true, false or { ca, cert, key, rejectUnauthorized } with certificates and key as PEM",
  });
});

const queryTimeoutError = `must be Infinity or a whole number from 1 to ${MAX_TIMER_MS}`;
const { createTimeoutMs: _timeoutShape, createRetryMs: _retryShape, ...coreShape } = poolConfigShape;

/** One schema per option. A message states the allowed range. */
export const postgresConfigShape = {
  ...coreShape,
  maxConnections: limitedConnections,
  enabled: yesOrNo,
  retries: yesOrNo,
  healthChecks: yesOrNo,
  host: lazySchema(() => {
    const error = "must be one host name, address or folder of a Unix socket, without a port";
    const form = /^(\/[^\0]*|[^\s\0,/:]+|[\da-f.]*:[\da-f:.]+(%[^\s\0,/]+)?)$/i;
    // A list of hosts, which libpq allows, or a port would be part of the name that is looked up.
    return z.string({ error }).refine(...noPlaceholder(false)).regex(form, { error });
  }),
  port: whole(1, 65_535),
  connect: lazySchema(() =>
    z.custom<ConnectFunction>((value) => typeof value === "function", { error: "must be a function" })
  ),
  database: text("must be the name of a database"),
  // A pooler's user ends with the project: `postgres.<ref>`.
  user: lazySchema(() => text("must be the name of a role")().refine(...noPlaceholder(false))),
  password: text("must be Unicode text without NUL", 0),
  ssl,
  options: text("must be settings such as -c search_path=app, without NUL", 0),
  applicationName: text("must be Unicode text of at most 63 characters without NUL", 0, 63),
  keepAlive: yesOrNo,
  keepAliveDelayMs: ms(0),
  connectionTimeoutMs: ms(1),
  connectRetryMs: ms(0),
  maxRetries: whole(0, 100),
  retryDelayMs: ms(1),
  ...resilienceShape,
  queryTimeoutMs: lazySchema(() => z.union([z.literal(Infinity), ms(1)()], { error: queryTimeoutError })),
  cancelTimeoutMs: ms(1),
  healthCheckIntervalMs: ms(0),
  poolMode: lazySchema(() =>
    z.enum(["auto", "session", "transaction"], { error: "must be auto, session or transaction" })
  ),
  prepare: yesOrNo,
  types: lazySchema(() =>
    z.custom<TypeOverrides>(areOverrides, { error: "must be { <type>: { decode, encode } } with functions" })
  ),
  maxPreparedStatements: whole(0, 10_000),
  maxStatementsInFlight: whole(1, 1_000),
  maxResultBytes: whole(1_024, MAX_TEXT_BYTES),
  targetSessionAttrs: lazySchema(() =>
    z.enum(TARGET_SESSION_ATTRIBUTES, { error: `must be one of ${TARGET_SESSION_ATTRIBUTES.join(", ")}` })
  ),
  trustedLogin: text("must be the name of a role"),
} satisfies Record<keyof PostgresConfig, LazySchema>;

/** Domains that are not on the internet: RFC 6761 (localhost, test), RFC 6762 (local), ICANN for private use (internal). */
const PRIVATE_DOMAINS = /\.(localhost|local|internal|test)$/;

/** Addresses that are not routed: RFC 1122 (127/8), RFC 1918, RFC 3927 (169.254/16). */
const PRIVATE_IPV4 = /^(127|10|192\.168|172\.(1[6-9]|2\d|3[01])|169\.254)(\.\d{1,3}){1,3}$/;

/** RFC 4291 (::1, fe80::/10), RFC 4193 (fc00::/7). */
const PRIVATE_IPV6 = /^(::1|fe[89ab][0-9a-f]:.*|f[cd][0-9a-f]{2}:.*)$/;

/**
 * Returns whether `host` is on this machine or its own network: the folder of a Unix socket, or a name or address that
 * does not exist on the internet, such as `localhost`, `db`, `postgres.default.svc.cluster.local` or `10.0.0.7`.
 */
export function isLocalHost(host: string): boolean {
  if (host.startsWith("/")) return true;
  const name = host.toLowerCase().replace(/\.$/, "");
  if (name.includes(":")) return PRIVATE_IPV6.test(name);
  return !name.includes(".") || PRIVATE_DOMAINS.test(name) || PRIVATE_IPV4.test(name);
}

/**
 * Returns `input` with defaults for missing options.
 *
 * @throws {ConfigError} listing every unknown option and every bad value, without the strings that were given.
 */
export function parsePostgresConfig(input: PostgresOptions = {}): Readonly<PostgresConfig> {
  const ssl = !isLocalHost(String(input.host ?? DEFAULT_POSTGRES_CONFIG.host));
  const defaults = { ...DEFAULT_POSTGRES_CONFIG, ssl };
  return parseConfig<PostgresConfig>(withoutAliases(input), postgresConfigShape, defaults, "Postgres configuration");
}

/**
 * Returns the time for which connecting may fail in a row before a waiter that only a new connection can serve is
 * rejected with the failure, in ms.
 */
export function connectRetryMs(
  config: Pick<PostgresConfig, "connectionTimeoutMs" | "connectRetryMs" | "retries">,
): number {
  return config.retries ? Math.max(config.connectionTimeoutMs, config.connectRetryMs) : 0;
}

/** Returns the options of the resource pool: those of connections and statements are left out. */
export function poolOptions(config: Readonly<PostgresConfig>): Partial<PoolConfig> {
  const options = Object.entries(config).filter(([name]) => name in coreShape);
  const { enabled } = config;
  return {
    ...Object.fromEntries(options),
    ...(enabled ? {} : { minConnections: 0, maxUses: 1 }),
    // Each attempt has limits of its own, which begin when the throttle lets it start.
    createTimeoutMs: MAX_TIMER_MS,
    createRetryMs: connectRetryMs(config),
  };
}
