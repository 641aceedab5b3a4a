/**
 * The background workers of `pg_cron` and `pg_net`, which the local Postgres does not have.
 *
 * @module
 */
import postgres, { type Sql } from "postgres";
import { CronJobs } from "./cron_jobs.ts";
import { NetRequests } from "./net_requests.ts";

/** Options for {@linkcode startBackground}. */
export interface BackgroundOptions {
  /** The URL of the database for a superuser. */
  readonly superuserUrl: string;
  /** The URL of the database for `postgres`. */
  readonly postgresUrl: string;
  /** The URL of the gateway. */
  readonly gatewayUrl: string;
  /** Called with each warning. */
  readonly warn: (line: string) => void;
  /** The time between two looks at the tables, in ms. Default: 1,000. */
  readonly intervalMs?: number;
}

const TICK_TIMEOUT_MS = 5_000;
const SETTLE_MS = 2_000;

/** Returns the extensions with a background worker that a database has. */
async function workersOf(sql: Sql): Promise<Set<string>> {
  const rows = await sql<{ name: string }[]>`
    select extname as name from pg_extension where extname in ('pg_cron', 'pg_net')`;
  return new Set(rows.map(({ name }) => name));
}

/**
 * Starts the workers of the extensions that the database has; `undefined` if it has none. A worker survives restarts of
 * the database.
 */
export async function startBackground(options: BackgroundOptions): Promise<AsyncDisposable | undefined> {
  const { superuserUrl, postgresUrl, gatewayUrl, warn, intervalMs = 1_000 } = options;
  const connect = () => postgres(superuserUrl, { max: 2, onnotice: () => {}, backoff: false, connect_timeout: 3 });
  let sql = connect();
  const workers = await workersOf(sql);
  if (workers.size === 0) {
    await sql.end({ timeout: 1 });
    return undefined;
  }
  const jobs = workers.has("pg_cron") ? new CronJobs({ superuserUrl, postgresUrl }) : undefined;
  const requests = workers.has("pg_net") ? new NetRequests({ gatewayUrl, warn }) : undefined;
  let stopped = false;
  let timer: ReturnType<typeof setTimeout> | undefined;
  let ticking = Promise.resolve();
  const tick = async () => {
    const { promise: late, resolve } = Promise.withResolvers<"late">();
    const deadline = setTimeout(() => resolve("late"), TICK_TIMEOUT_MS);
    // The database may be stopped, or the extension dropped: the next tick looks again.
    const outcome = await Promise.race([Promise.allSettled([jobs?.tick(sql), requests?.tick(sql)]), late]);
    clearTimeout(deadline);
    if (outcome === "late") {
      // The driver does not always notice that a connection has broken.
      sql.end({ timeout: 0 }).catch(() => {});
      sql = connect();
    }
    if (!stopped) schedule();
  };
  const schedule = () => {
    timer = setTimeout(() => ticking = tick(), intervalMs);
  };
  schedule();
  return {
    async [Symbol.asyncDispose]() {
      stopped = true;
      clearTimeout(timer);
      await ticking;
      await requests?.stop();
      await jobs?.settle(SETTLE_MS);
      await sql.end({ timeout: 1 });
    },
  };
}
