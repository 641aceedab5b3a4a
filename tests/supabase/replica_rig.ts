/**
 * A project with two read replicas, and a pool that reads from them.
 *
 * @module
 */
import { SupabaseConnectionPool, type SupabasePoolConfig } from "../../shared/supabase/mod.ts";
import { type FakeProject, startFakeProject } from "../support/fake_project.ts";

/** The key of the pools under test. */
export const KEY = "sb_publishable_test";

/** A project with two replicas, and a pool that reads from them. */
export interface ReplicaRig extends AsyncDisposable {
  readonly project: FakeProject;
  readonly replicas: readonly [FakeProject, FakeProject];
  // deno-lint-ignore no-explicit-any -- any schema will do
  readonly pool: SupabaseConnectionPool<any>;
}

/** Starts the servers, and creates the pool. */
export async function startReplicas(config: Partial<SupabasePoolConfig> = {}): Promise<ReplicaRig> {
  const [project, one, two] = await Promise.all([startFakeProject(), startFakeProject(), startFakeProject()]);
  // deno-lint-ignore no-explicit-any -- any schema will do
  const pool = SupabaseConnectionPool.getInstance<any>(project.url, KEY, {
    readReplicas: [one.url, two.url],
    ...config,
  });
  return {
    project,
    replicas: [one, two] as const,
    pool,
    async [Symbol.asyncDispose]() {
      await pool.shutdown(0);
      await Promise.all([project, one, two].map((each) => each[Symbol.asyncDispose]()));
    },
  };
}

/** Returns the methods and paths that a project has received. */
export function received({ requests }: FakeProject): string[] {
  return requests.map(({ method, path }) => `${method} ${path.replace(/\?.*/, "")}`);
}
