/**
 * The local stack with users and rows, and the connections of its database.
 *
 * @module
 */
import { createClient } from "@supabase/supabase-js";
import postgres from "postgres";
import { type Stack, startStack } from "../../local/mod.ts";
import type { Endpoint } from "./candidates.ts";

const USERS = 5;
const ROWS = 20;
const SAMPLE_MS = 20;

/** Maxima of concurrent connections. */
export interface Backends {
  /** Open connections. */
  readonly backends: number;
  /** Active connections. */
  readonly busyBackends: number;
}

/** A running stack. */
export interface Stage extends AsyncDisposable {
  readonly endpoint: Endpoint;
  /** The version of its Postgres server: `18.4`. */
  readonly postgres: string;
  /** Counts the connections of the database, without its own, while `work` runs. */
  watch<T>(work: () => Promise<T>): Promise<{ readonly result: T; readonly peak: Backends }>;
}

async function signUp({ url, publishableKey }: Stack, index: number): Promise<string> {
  const client = createClient(url, publishableKey, {
    auth: { persistSession: false, autoRefreshToken: false, detectSessionInUrl: false },
  });
  const { data, error } = await client.auth.signUp({
    email: `user-${index}@example.com`,
    password: crypto.randomUUID(),
  });
  if (error) throw error;
  const token = data.session?.access_token;
  if (token === undefined) throw new Error("Auth signed up a user without a token");
  const budgets = Array.from({ length: ROWS }, (_, row) => ({ name: `Budget ${row}` }));
  const { error: refused } = await createClient(url, publishableKey, {
    auth: { persistSession: false, autoRefreshToken: false, detectSessionInUrl: false },
    global: { headers: { Authorization: `Bearer ${token}` } },
  }).from("budgets").insert(budgets);
  if (refused) throw refused;
  return token;
}

/** Starts a stack on free ports. Its disposal stops it. */
export async function openStage(): Promise<Stage> {
  await using resources = new AsyncDisposableStack();
  const stack = resources.use(await startStack({ ephemeral: true }));
  const tokens: string[] = [];
  for (let index = 0; index < USERS; index++) tokens.push(await signUp(stack, index));
  const sql = postgres(stack.dbUrl, { max: 1, onnotice: () => {} });
  resources.defer(() => sql.end({ timeout: 5 }));

  async function countBackends(): Promise<Backends> {
    const [row] = await sql<{ all: number; busy: number }[]>`
      select count(*)::int as all, count(*) filter (where state <> 'idle')::int as busy
      from pg_stat_activity
      where backend_type = 'client backend' and pid <> pg_backend_pid()`;
    return { backends: row?.all ?? NaN, busyBackends: row?.busy ?? NaN };
  }

  const [server] = await sql<{ server_version: string }[]>`show server_version`;
  const running = resources.move();
  return {
    endpoint: { url: stack.url, publishableKey: stack.publishableKey, tokens },
    postgres: server?.server_version ?? "unknown",
    async watch(work) {
      let peak = await countBackends();
      let isFinished = false;
      const watching = (async () => {
        while (!isFinished) {
          const now = await countBackends();
          peak = {
            backends: Math.max(peak.backends, now.backends),
            busyBackends: Math.max(peak.busyBackends, now.busyBackends),
          };
          await new Promise((resolve) => setTimeout(resolve, SAMPLE_MS));
        }
      })();
      try {
        const result = await work();
        isFinished = true;
        await watching;
        return { result, peak };
      } finally {
        isFinished = true;
      }
    },
    [Symbol.asyncDispose]: () => running.disposeAsync(),
  };
}
