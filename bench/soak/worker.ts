/**
 * The process whose heap, sockets and file descriptors are watched: callers of a
 * client pool and of direct Postgres.
 *
 *     deno run -A --v8-flags=--expose-gc bench/soak/worker.ts
 *
 * Its standard input is lines of JSON: first the {@linkcode Endpoint}, then
 * {@linkcode Request}s. It prints one line of JSON for each request, and exits
 * when its input ends.
 *
 * @module
 */
import { createInterface } from "node:readline";
import { stdin } from "node:process";
import type { Database } from "../../functions/_app/database.ts";
import { SupabaseConnectionPool } from "../../shared/mod.ts";
import { PostgresConnectionManager } from "../../shared/postgres/mod.ts";
import { heapLive } from "../support/heap.ts";
import { usageOf } from "./process_usage.ts";

/** The stack, and its callers. */
export interface Endpoint {
  /** The URL of the gateway, as the client pool uses it. */
  readonly url: string;
  readonly publishableKey: string;
  /** The login of direct Postgres, for the role `authenticator`. */
  readonly authenticatorUrl: string;
  readonly users: readonly User[];
  /** The callers of each kind of work. */
  readonly callers: number;
}

/** A user. */
export interface User {
  readonly id: string;
  readonly token: string;
}

/** A request to this process. */
export type Request =
  /** Sends a {@linkcode WorkerSample}. */
  | { readonly type: "sample" }
  /** Replaces the users, whose tokens expire. */
  | { readonly type: "users"; readonly users: readonly User[] }
  /** Stops the callers, and sends a {@linkcode WorkerSample} when their work has settled. */
  | { readonly type: "stop" };

/** The number of operations, and of those that failed. */
export interface Counted {
  sent: number;
  failed: number;
}

/** The resources of the process, and the state of its pools. */
export interface WorkerSample {
  /** The live heap, in MB (2^20 bytes). */
  readonly heapMb: number;
  readonly sockets: number;
  readonly descriptors: number;
  /** Leases that are out, and callers that wait, in both pools. */
  readonly busy: number;
  readonly counted: Readonly<Record<string, Counted>>;
}

/** The part of operations that their caller aborts. */
const ABORTED = 0.1;
const MAX_ABORT_MS = 40;

/** The `application_name` of the connections. */
export const APPLICATION = "soak";

const pause = (ms: number) => new Promise<void>((resolve) => setTimeout(resolve, ms));

function openWork(endpoint: Endpoint, users: () => readonly User[]) {
  const pool = SupabaseConnectionPool.getInstance<Database>(endpoint.url, endpoint.publishableKey, {
    maxConnections: 10,
    acquireTimeoutMs: 3_000,
  });
  const login = new URL(endpoint.authenticatorUrl);
  const manager = new PostgresConnectionManager({
    host: login.hostname,
    port: Number(login.port),
    user: login.username,
    password: decodeURIComponent(login.password),
    database: login.pathname.slice(1),
    maxConnections: 5,
    acquireTimeoutMs: 3_000,
    applicationName: APPLICATION,
  });
  let next = 0;
  const user = (): User => {
    const all = users();
    const one = all[next++ % all.length];
    if (!one) throw new Error("There are no users");
    return one;
  };
  const claimsOf = ({ id }: User) => {
    return { sub: id, role: "authenticated", exp: Math.floor(Date.now() / 1_000) + 600 } as const;
  };
  const work: Record<string, (signal: AbortSignal) => Promise<unknown>> = {
    "selects of the client pool": async (signal) => {
      await using lease = await pool.lease({ identity: { token: user().token }, signal });
      const { error } = await lease.client.from("budgets").select().limit(20).abortSignal(signal);
      if (error) throw error;
    },
    "inserts and deletes of the client pool": async (signal) => {
      await using lease = await pool.lease({ identity: { token: user().token }, signal });
      const { data, error } = await lease.client.from("budgets").insert({ name: "soak" }).select("id").single();
      if (error) throw error;
      const { error: kept } = await lease.client.from("budgets").delete().eq("id", data.id);
      if (kept) throw kept;
    },
    "statements of direct Postgres": (signal) =>
      manager.as({ claims: claimsOf(user()) }).query("select id, name from public.budgets limit 20", [], { signal }),
    "transactions of direct Postgres": (signal) =>
      manager.as({ claims: claimsOf(user()) }).transaction(async (tx) => {
        await tx.query("select count(*) from public.budgets");
        await tx.query("select pg_sleep(0.005)");
      }, { signal }),
  };
  const busy = () =>
    [pool.getStats(), manager.getStats()]
      .reduce((sum, { activeConnections, waitingForConnection }) => sum + activeConnections + waitingForConnection, 0);
  return { work, busy, close: () => Promise.all([pool.shutdown(), manager.shutdown()]) };
}

async function main(): Promise<void> {
  const lines = createInterface({ input: stdin })[Symbol.asyncIterator]();
  const read = async <T>(): Promise<T | undefined> => {
    const { done, value } = await lines.next();
    return done ? undefined : JSON.parse(value);
  };
  const endpoint = await read<Endpoint>();
  if (!endpoint) return;
  let { users } = endpoint;
  const { work, busy, close } = openWork(endpoint, () => users);
  const counted: Record<string, Counted> = {};
  let running = true;
  const callers = Object.entries(work).flatMap(([title, run]) => {
    const count: Counted = counted[title] = { sent: 0, failed: 0 };
    return Array.from({ length: endpoint.callers }, async () => {
      while (running) {
        const controller = new AbortController();
        const timer = Math.random() < ABORTED
          ? setTimeout(() => controller.abort(new Error("The caller left")), Math.random() * MAX_ABORT_MS)
          : undefined;
        count.sent++;
        try {
          await run(controller.signal);
        } catch {
          if (!controller.signal.aborted) count.failed++;
          // Real callers do not retry at once.
          await pause(20);
        } finally {
          clearTimeout(timer);
        }
        await pause(Math.random() * 20);
      }
    });
  });
  const sample = (): WorkerSample => {
    const { sockets, descriptors } = usageOf();
    return { heapMb: heapLive() / 2 ** 20, sockets, descriptors, busy: busy(), counted };
  };
  for (let request = await read<Request>(); request; request = await read<Request>()) {
    if (request.type === "users") users = request.users;
    if (request.type === "stop") {
      running = false;
      await Promise.all(callers);
    }
    console.log(JSON.stringify(sample()));
  }
  running = false;
  await Promise.all(callers);
  await close();
}

if (import.meta.main) {
  await main();
  Deno.exit(0);
}
