/**
 * A pool on a stand-in project.
 *
 * @module
 */
import { type SupabasePoolConfig } from "../../shared/supabase/mod.ts";
import { SupabaseConnectionPool } from "../../shared/supabase/mod.ts";
import { type FakeProject, startFakeProject } from "../support/fake_project.ts";

/** A publishable key, by its form. */
export const PUBLISHABLE = "sb_publishable_test";
/** A secret key, by its form. */
export const SECRET = "sb_secret_test";

/** The `fetch` that a client sends with; no part of its type. */
export function fetchOf(client: object): typeof fetch {
  return (client as { fetch: typeof fetch }).fetch;
}

/** A pool and the project it calls; both end with the scope. */
export interface Rig extends AsyncDisposable {
  readonly project: FakeProject;
  // deno-lint-ignore no-explicit-any -- the stand-in has no schema
  readonly pool: SupabaseConnectionPool<any>;
}

/** Makes a pool on a stand-in project of its own. */
export function rig(config: Partial<SupabasePoolConfig> = {}, key: string = PUBLISHABLE): Rig {
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
