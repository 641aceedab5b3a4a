/**
 * The local stack with users who have rows, and what its database says of who is connected.
 *
 * @module
 */
import { createClient } from "@supabase/supabase-js";
import postgres from "postgres";
import { type Stack, startStack } from "../../local/mod.ts";
import type { Target } from "./ways.ts";

const USERS = 5;
const ROWS = 20;
const SAMPLE_MS = 20;

/** Most connections at once. */
export interface Backends {
  /** Open ones. */
  readonly backends: number;
  /** Those at work. */
  readonly busyBackends: number;
}

/** A running stack, ready to be measured. */
export interface Stage extends AsyncDisposable {
  readonly target: Target;
  /** Watches the database's connections, but for its own, while `work` goes on. */
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
  if (token === undefined) throw new Error("Auth signed a user up and gave no token");
  const budgets = Array.from({ length: ROWS }, (_, row) => ({ name: `Budget ${row}` }));
  const { error: refused } = await createClient(url, publishableKey, {
    auth: { persistSession: false, autoRefreshToken: false, detectSessionInUrl: false },
    global: { headers: { Authorization: `Bearer ${token}` } },
  }).from("budgets").insert(budgets);
  if (refused) throw refused;
  return token;
}

/** Starts a stack of its own on free ports; it goes with the scope. */
export async function openStage(): Promise<Stage> {
  await using parts = new AsyncDisposableStack();
  const stack = parts.use(await startStack({ ephemeral: true }));
  const tokens: string[] = [];
  for (let index = 0; index < USERS; index++) tokens.push(await signUp(stack, index));
  const sql = postgres(stack.dbUrl, { max: 1, onnotice: () => {} });
  parts.defer(() => sql.end({ timeout: 5 }));

  async function look(): Promise<Backends> {
    const [row] = await sql<{ all: number; busy: number }[]>`
      select count(*)::int as all, count(*) filter (where state <> 'idle')::int as busy
      from pg_stat_activity
      where backend_type = 'client backend' and pid <> pg_backend_pid()`;
    return { backends: row?.all ?? NaN, busyBackends: row?.busy ?? NaN };
  }

  const running = parts.move();
  return {
    target: { url: stack.url, publishableKey: stack.publishableKey, tokens },
    async watch(work) {
      let peak = await look();
      let over = false;
      const watching = (async () => {
        while (!over) {
          const now = await look();
          peak = {
            backends: Math.max(peak.backends, now.backends),
            busyBackends: Math.max(peak.busyBackends, now.busyBackends),
          };
          await new Promise((resolve) => setTimeout(resolve, SAMPLE_MS));
        }
      })();
      try {
        const result = await work();
        over = true;
        await watching;
        return { result, peak };
      } finally {
        over = true;
      }
    },
    [Symbol.asyncDispose]: () => running.disposeAsync(),
  };
}
