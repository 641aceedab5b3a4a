/**
 * The admin client of a project without a secret key.
 *
 * @module
 */
import type { SupabaseEnv } from "@supabase/server";

let core: typeof import("@supabase/server/core") | undefined;

/** Loads the error of {@linkcode createMissingAdminProxy}. Most projects have a secret key and do not need it. */
export async function loadMissingSecretKey(): Promise<void> {
  core ??= await import("@supabase/server/core");
}

/**
 * @throws {EnvError} `MISSING_DEFAULT_SECRET_KEY`.
 * @throws {TypeError} when {@linkcode loadMissingSecretKey} has not been awaited.
 */
function throwMissingSecretKey({ url, publishableKeys, jwks }: SupabaseEnv): never {
  if (core === undefined) throw new TypeError("Cannot create the admin client: await loadMissingSecretKey() first");
  core.createAdminClient({ env: { url, publishableKeys, secretKeys: {}, jwks } });
  throw new TypeError("@supabase/server created an admin client without a key");
}

/**
 * Creates a replacement for the admin client or pool, so that a handler may read it without using it. Any use of it
 * throws the error of `@supabase/server` for a missing secret key.
 */
export function createMissingAdminProxy<Admin extends object>(env: SupabaseEnv): Admin {
  const fail = () => throwMissingSecretKey(env);
  return new Proxy<Admin>({} as Admin, { get: fail, set: fail, has: fail });
}
