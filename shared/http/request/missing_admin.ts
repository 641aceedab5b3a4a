/**
 * The admin client of a project without a secret key.
 *
 * @module
 */
import type { SupabaseEnv } from "@supabase/server";

let core: typeof import("@supabase/server/core") | undefined;

/** Loads what {@linkcode missingAdmin} throws with. Most projects have a secret key, and need none of it. */
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
 * Stands where the admin's client or pool would be, so that a handler may name it without using it. Any use of it
 * throws what `@supabase/server` throws where no secret key is configured.
 */
export function missingAdmin<Admin extends object>(env: SupabaseEnv): Admin {
  const refuse = () => throwMissingSecretKey(env);
  return new Proxy<Admin>({} as Admin, { get: refuse, set: refuse, has: refuse });
}
