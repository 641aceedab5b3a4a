/**
 * The client options of `withSupabase`, as options of a pool.
 *
 * @module
 */
import type { WithSupabaseConfig } from "@supabase/server";
import { ConfigError } from "../../pool/mod.ts";
import type { SupabasePoolConfig } from "../../supabase/mod.ts";

/** What `withSupabase` hands on to `createClient`. */
export type ClientOptions = NonNullable<WithSupabaseConfig["supabaseOptions"]>;

/** Each client sends credentials of its own: these are not for options to set. */
const OF_THE_CALLER = ["authorization", "apikey"];

/**
 * `db.schema`, `db.timeout`, `global.headers` and `global.fetch` become options
 * of the pool. `auth`, `accessToken` and `realtime` mean nothing where sessions
 * and channels are refused, and `db.retry` nothing where the pool's own retries
 * are used.
 *
 * @throws {ConfigError} for `storage.useNewHostname`: a pooled client sends to its project's own address only.
 */
export function asPoolConfig({ db, global, storage }: ClientOptions): Partial<SupabasePoolConfig> {
  if (storage?.useNewHostname) {
    throw new ConfigError([{
      path: "supabaseOptions.storage.useNewHostname",
      message: "is true, must be left out: a pooled client sends to its project's own address only",
    }], "options of withPooledSupabase");
  }
  const headers = Object.entries(global?.headers ?? {})
    .filter(([name]) => !OF_THE_CALLER.includes(name.toLowerCase()));
  return {
    ...(db?.schema === undefined ? {} : { schema: db.schema }),
    ...(db?.timeout === undefined ? {} : { requestTimeoutMs: db.timeout }),
    ...(global?.headers === undefined ? {} : { headers: Object.fromEntries(headers) }),
    ...(global?.fetch === undefined ? {} : { fetch: global.fetch }),
  };
}
