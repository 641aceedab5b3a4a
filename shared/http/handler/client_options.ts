/**
 * The client options of `withSupabase`, as options of a pool.
 *
 * @module
 */
import type { WithSupabaseConfig } from "@supabase/server";
import { ConfigError } from "../../pool/mod.ts";
import type { SupabasePoolConfig } from "../../supabase/mod.ts";

/** The client options of `withSupabase`. */
export type ClientOptions = NonNullable<WithSupabaseConfig["supabaseOptions"]>;

/** Headers that options do not set: each client sends its own credentials. */
const CREDENTIAL_HEADERS = ["authorization", "apikey"];

/**
 * Returns `db.schema`, `db.timeout`, `db.retry`, `global.headers` and `global.fetch` as
 * options of the pool. `auth`, `accessToken` and `realtime` have no effect, since
 * views reject sessions and channels.
 *
 * @throws {ConfigError} for `storage.useNewHostname`: a pooled client sends only to its project's own host.
 */
export function asPoolConfig({ db, global, storage }: ClientOptions): Partial<SupabasePoolConfig> {
  if (storage?.useNewHostname) {
    throw new ConfigError([{
      path: "supabaseOptions.storage.useNewHostname",
      message: "must be omitted: a pooled client sends only to its project's own host",
    }], "options of withPooledSupabase");
  }
  const headers = Object.entries(global?.headers ?? {})
    .filter(([name]) => !CREDENTIAL_HEADERS.includes(name.toLowerCase()));
  return {
    ...(db?.schema === undefined ? {} : { schema: db.schema }),
    ...(db?.retry === undefined ? {} : { retryReads: db.retry }),
    ...(db?.timeout === undefined ? {} : { requestTimeoutMs: db.timeout }),
    ...(global?.headers === undefined ? {} : { headers: Object.fromEntries(headers) }),
    ...(global?.fetch === undefined ? {} : { fetch: global.fetch }),
  };
}
