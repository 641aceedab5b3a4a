/**
 * A pool on a fake project.
 *
 * @module
 */
import { type SupabasePoolConfig } from "../../shared/supabase/mod.ts";
import { SupabaseConnectionPool } from "../../shared/supabase/mod.ts";
import { type FakeProject, startFakeProject } from "../support/fake_project.ts";

/** A key in the format of publishable keys. */
export const PUBLISHABLE = "sb_publishable_test";
/** A key in the format of secret keys. */
export const SECRET = "sb_secret_test";

/** Returns the `fetch` of a client, which its type does not have. */
export function fetchOf(client: object): typeof fetch {
  return (client as { fetch: typeof fetch }).fetch;
}

/** A pool and the project it calls. Disposal shuts both down. */
export interface Rig extends AsyncDisposable {
  readonly project: FakeProject;
  // deno-lint-ignore no-explicit-any -- the fake project has no schema
  readonly pool: SupabaseConnectionPool<any>;
}

/** Creates a pool on a fake project of its own. */
export function createRig(config: Partial<SupabasePoolConfig> = {}, key: string = PUBLISHABLE): Rig {
  const project = startFakeProject();
  const pool = SupabaseConnectionPool.getInstance(project.url, key, config);
  return {
    project,
    pool,
    async [Symbol.asyncDispose]() {
      await pool.shutdown(0);
      await project[Symbol.asyncDispose]();
    },
  };
}
