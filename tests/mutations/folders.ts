/**
 * The folders of `shared/` and the tests that must catch a fault in each.
 *
 * @module
 */

/** The tests of a folder. */
export interface FolderTests {
  /** The tests, as paths from the root. */
  readonly tests: readonly string[];
  /** True if they start Postgres servers, which copy the data of one. Default: false. */
  readonly needsPostgres?: boolean;
  /** Tests that take long or need other programs, and are left out. */
  readonly slow?: readonly string[];
}

/** The folders, by their name in `shared/`. */
export const FOLDERS: Readonly<Record<string, FolderTests>> = {
  environment: { tests: ["tests/environment/", "tests/http/environment_test.ts"] },
  observability: { tests: ["tests/observability/"] },
  cache: { tests: ["tests/cache/"], slow: ["tests/cache/chaos_test.ts", "tests/cache/processes_test.ts"] },
  resilience: { tests: ["tests/resilience/"] },
  pool: { tests: ["tests/pool/"], slow: ["tests/pool/properties/documentation_test.ts"] },
  services: { tests: ["tests/services/", "tests/http/", "tests/postgres/pooled_postgres_service_test.ts"] },
  supabase: { tests: ["tests/supabase/", "tests/http/"], slow: ["tests/supabase/chaos/"] },
  http: { tests: ["tests/http/"] },
  postgres: {
    tests: ["tests/postgres/"],
    needsPostgres: true,
    slow: [
      "chaos/",
      "pgbouncer/",
      "transfers/",
      "health_test.ts",
      "silent_server_test.ts",
      "transaction_limits_test.ts",
      "dead_idle_test.ts",
      "shutdown_test.ts",
      "types/time_zone_test.ts",
    ].map((path) => `tests/postgres/${path}`),
  },
  data: {
    tests: ["tests/data/"],
    needsPostgres: true,
    slow: ["connection_log/", "replicas/", "tunnel/"].map((path) => `tests/data/${path}`),
  },
};
