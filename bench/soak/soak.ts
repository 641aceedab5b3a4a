/**
 * A soak: load with faults on the local stack, and samples of what it uses.
 *
 * @module
 */
import { PostgresConnectionManager } from "../../shared/postgres/mod.ts";
import { loginOf } from "../../local/auth/database.ts";
import { DATA_API_APPLICATION, DATA_API_CONNECTIONS } from "../../local/data_api/connections.ts";
import { type Stack, startStack } from "../../local/mod.ts";
import { type Child, startChild } from "../support/child.ts";
import { environment } from "../support/environment.ts";
import { heapLive } from "../support/heap.ts";
import { shuffled } from "../support/statistics.ts";
import { type Fault, FAULTS, type Struck } from "./faults.ts";
import { FaultyProxy } from "./faulty_proxy.ts";
import { callFunctions } from "./function_load.ts";
import { type Allowance, judgeGrowth } from "./growth.ts";
import { descendants, usageOf } from "./process_usage.ts";
import type { Sample, SoakResults } from "./results.ts";
import type { Endpoint, Request, User, WorkerSample } from "./worker.ts";

/** Options of {@linkcode soak}. */
export interface SoakOptions {
  /** The length of the load, in ms. */
  readonly durationMs: number;
  /** The callers of each kind of work. */
  readonly callers: number;
  /** Aborted to stop: the soak rejects with its reason, and leaves nothing behind. */
  readonly signal: AbortSignal;
  /** Called after each sample and each fault, with a line about it. */
  readonly log: (line: string) => void;
  /** The faults, in random order. Default: all. */
  readonly faults?: readonly Fault[];
}

/** A series: how its value is read, and how much it may differ. */
interface SeriesKind {
  readonly id: string;
  readonly title: string;
  readonly unit: string;
  readonly allowance: Allowance;
}

const SERIES: readonly SeriesKind[] = [
  {
    id: "heap",
    title: "Live heap of a process with both pools",
    unit: "MB",
    allowance: { part: 0.1, amount: 3 },
  },
  { id: "sockets", title: "Sockets of that process", unit: "sockets", allowance: { part: 0.1, amount: 5 } },
  {
    id: "descriptors",
    title: "File descriptors of that process",
    unit: "descriptors",
    allowance: { part: 0.1, amount: 8 },
  },
  {
    id: "backends",
    title: "Connections of Postgres, without the Data API's",
    unit: "backends",
    allowance: { part: 0.1, amount: 5 },
  },
  {
    id: "dataApiBackends",
    title: "Connections of the Data API",
    unit: "backends",
    // It opens one for each call at once, up to its limit, and closes none: their number shows its busiest moment since
    // it or the database was killed.
    allowance: { part: 0, amount: DATA_API_CONNECTIONS },
  },
  {
    id: "functionMemory",
    title: "Resident memory of the functions",
    unit: "MB",
    // V8 returns memory late.
    allowance: { part: 0.15, amount: 40 },
  },
  {
    id: "functionDescriptors",
    title: "File descriptors of the functions",
    unit: "descriptors",
    allowance: { part: 0.1, amount: 20 },
  },
  { id: "gatewayHeap", title: "Live heap of the gateway", unit: "MB", allowance: { part: 0.1, amount: 8 } },
];

const USERS = 4;

/** The time under load before the first sample, in ms. */
const WARM_UP_MS = 5_000;

const MAX_SAMPLE_MS = 10_000;

/** The number of samples of each series that can be judged. */
const MIN_SAMPLES = 12;
const MAX_FAULT_MS = 12_000;

/** Tokens are valid for an hour. */
const RENEW_USERS_MS = 600_000;

/** The time for all work to settle after the load, in ms. */
const SETTLE_MS = 60_000;

/** The time limit of a query about the database, in ms. */
const QUERY_MS = 5_000;

/** Resolves after `ms`, or at once when the signal is aborted. */
function pause(ms: number, signal: AbortSignal): Promise<void> {
  return new Promise((resolve) => {
    const done = () => {
      clearTimeout(timer);
      signal.removeEventListener("abort", done);
      resolve();
    };
    const timer = setTimeout(done, ms);
    signal.addEventListener("abort", done);
    if (signal.aborted) done();
  });
}

async function signUp(stack: Stack): Promise<User> {
  const response = await fetch(`${stack.authUrl}/signup`, {
    method: "POST",
    headers: { apikey: stack.publishableKey, "content-type": "application/json" },
    body: JSON.stringify({ email: `soak-${crypto.randomUUID()}@example.com`, password: crypto.randomUUID() }),
  });
  const body = await response.json();
  if (!response.ok) throw new Error(`Auth responded ${response.status} to a sign-up`);
  return { id: body.user.id, token: body.access_token };
}

/** The time for a part to recover from a fault, in ms. A busy machine starts a process in seconds. */
const RECOVERY_MS = 120_000;

/** Signs up users. A fault may be in the way for a moment. */
async function signUpAll(stack: Stack, signal: AbortSignal): Promise<User[]> {
  for (const start = performance.now();;) {
    try {
      return await Promise.all(Array.from({ length: USERS }, () => signUp(stack)));
    } catch (error) {
      if (performance.now() - start > RECOVERY_MS || signal.aborted) throw error;
      await pause(500, signal);
    }
  }
}

/** A worker that is asked one thing at a time. */
class Worker {
  readonly #child: Child;
  #last: Promise<unknown> = Promise.resolve();

  constructor(child: Child) {
    this.#child = child;
  }

  ask(request: Request): Promise<WorkerSample> {
    const reply = this.#last.then(async () => {
      await this.#child.say(JSON.stringify(request));
      return JSON.parse(await this.#child.line()) as WorkerSample;
    });
    this.#last = reply.catch(() => {});
    return reply;
  }
}

/** Returns what the processes of functions use together. */
function functionUsage(): { memory: number; descriptors: number } {
  const pids = descendants()
    .filter(({ command }) => /\bdeno\b/.test(command) && !/data_api|soak\/worker|(^|\/)sh /.test(command))
    .map(({ pid }) => pid);
  const usages = pids.map((pid) => usageOf(pid));
  return {
    memory: usages.reduce((sum, { residentMb }) => sum + residentMb, 0),
    descriptors: usages.reduce((sum, { descriptors }) => sum + descriptors, 0),
  };
}

async function countBackends(observer: PostgresConnectionManager): Promise<{ others: number; dataApi: number }> {
  const { rows: [row] } = await observer.query<{ all: number; api: number }>(
    `select count(*)::int as all, (count(*) filter (where application_name = $1))::int as api from pg_stat_activity
    where backend_type = 'client backend' and pid <> pg_backend_pid()`,
    [DATA_API_APPLICATION],
  );
  const { all, api } = row ?? { all: NaN, api: NaN };
  return { others: all - api, dataApi: api };
}

/** Waits until nothing is leased and nothing waits, in the worker and in the functions. */
async function settled(stack: Stack, busy: () => Promise<number>): Promise<void> {
  const deadline = Date.now() + SETTLE_MS;
  let open = "";
  while (Date.now() < deadline) {
    const own = await busy();
    const health = await fetch(`${stack.url}/functions/v1/budgets/health/pool`, {
      headers: { apikey: stack.secretKey },
    });
    const { details } = await health.json();
    const { activeConnections = 0, waitingForConnection = 0 } = details?.stats ?? {};
    const ofFunction = activeConnections + waitingForConnection;
    if (own === 0 && health.status === 200 && ofFunction === 0) return;
    open = `${own} in the process, ${ofFunction} in a function whose health is ${health.status}`;
    await new Promise((resolve) => setTimeout(resolve, 250));
  }
  throw new Error(`After the load, not every lease was released within ${SETTLE_MS / 1_000} s: ${open}`);
}

/**
 * Runs a soak.
 *
 * @throws {Error} when a part does not recover, or a lease is not released after the load.
 */
export async function soak(
  { durationMs, callers, signal, log, faults: strikes = FAULTS }: SoakOptions,
): Promise<SoakResults> {
  const here = environment(["@supabase/supabase-js", "@supabase/lite", "pg"]);
  await using resources = new AsyncDisposableStack();
  const stack = resources.use(await startStack({ ephemeral: true }));
  signal.throwIfAborted();
  const proxy = resources.use(new FaultyProxy(stack.url));
  // Each query has a deadline: the database is killed meanwhile.
  const observer = resources.use(
    new PostgresConnectionManager({
      ...loginOf(stack.dbUrl),
      maxConnections: 1,
      minConnections: 0,
      queryTimeoutMs: QUERY_MS,
    }),
  );
  const { rows: [server] } = await observer.query<{ server_version: string }>("show server_version");
  let users = await signUpAll(stack, signal);

  const child = resources.use(
    startChild(new URL("worker.ts", import.meta.url), ["-A", "--v8-flags=--expose-gc"]),
  );
  const endpoint: Endpoint = {
    url: proxy.url,
    publishableKey: stack.publishableKey,
    authenticatorUrl: stack.authenticatorUrl,
    users,
    callers,
  };
  await child.say(JSON.stringify(endpoint));
  const worker = new Worker(child);
  const load = callFunctions(stack, () => users, callers);
  resources.defer(() => load.stop());

  // The pools open their connections: a short soak would take that for growth.
  await pause(WARM_UP_MS, signal);

  const samples = new Map<string, Sample[]>(SERIES.map(({ id }) => [id, []]));
  const faults: Record<string, number> = Object.fromEntries(strikes.map(({ what }) => [what, 0]));
  const startedAt = performance.now();
  const elapsed = () => performance.now() - startedAt;
  /** Aborted when a part has failed: the others end at once. */
  const failure = new AbortController();
  const ended = AbortSignal.any([signal, failure.signal]);
  const over = () => elapsed() >= durationMs || ended.aborted;
  const struck: Struck = { stack, proxy, observer };

  const striking = (async () => {
    while (!over()) {
      for (const { what, strike } of shuffled(strikes)) {
        await pause(Math.min(durationMs / 12, MAX_FAULT_MS), ended);
        if (over()) return;
        await strike(struck);
        faults[what] = (faults[what] ?? 0) + 1;
        log(`${Math.round(elapsed() / 1_000)} s: ${what}`);
      }
    }
  })();
  striking.catch((error) => failure.abort(error));
  // No fault strikes a stack that is being stopped.
  resources.defer(() => {
    failure.abort();
    return striking.catch(() => {});
  });

  const sampleAll = async () => {
    const own = await worker.ask({ type: "sample" });
    const { memory, descriptors } = functionUsage();
    // The database may be down.
    const backends = await countBackends(observer).catch(() => undefined);
    // The table must not grow either.
    await observer.query("delete from public.budgets where created_at < now() - interval '5 s'").catch(() => {});
    const values: Record<string, number | undefined> = {
      heap: own.heapMb,
      sockets: own.sockets,
      descriptors: own.descriptors,
      backends: backends?.others,
      dataApiBackends: backends?.dataApi,
      functionMemory: memory,
      functionDescriptors: descriptors,
      gatewayHeap: heapLive() / 2 ** 20,
    };
    const at = Math.round(elapsed());
    for (const [id, value] of Object.entries(values)) {
      if (value !== undefined) samples.get(id)?.push([at, Math.round(value * 100) / 100]);
    }
    log(
      `${Math.round(at / 1_000)} s: heap ${own.heapMb.toFixed(1)} MB, ${own.sockets} sockets, ` +
        `${own.descriptors} descriptors, ${backends?.others ?? "?"} backends, ${
          backends?.dataApi ?? "?"
        } of the Data API`,
    );
  };

  let renewedAt = performance.now();
  const everyMs = Math.min(MAX_SAMPLE_MS, durationMs / 30);
  try {
    // On a busy machine, a soak of seconds takes longer to have enough samples of each series.
    const isDone = () => over() && [...samples.values()].every(({ length }) => length >= MIN_SAMPLES);
    while (!ended.aborted && !isDone() && elapsed() < durationMs + RECOVERY_MS) {
      await pause(everyMs, ended);
      if (ended.aborted) break;
      await sampleAll();
      if (!over() && performance.now() - renewedAt > RENEW_USERS_MS) {
        users = await signUpAll(stack, ended);
        await worker.ask({ type: "users", users });
        renewedAt = performance.now();
      }
    }
  } finally {
    await load.stop();
  }
  await striking;
  signal.throwIfAborted();
  const last = await worker.ask({ type: "stop" });
  await settled(stack, async () => (await worker.ask({ type: "sample" })).busy);

  return {
    environment: { ...here, postgres: server?.server_version ?? "unknown" },
    minutes: durationMs / 60_000,
    series: SERIES.map(({ id, title, unit, allowance }) => {
      const of = samples.get(id) ?? [];
      return { id, title, unit, samples: of, growth: judgeGrowth(of.map(([, value]) => value), allowance) };
    }),
    load: Object.entries({ ...last.counted, ...load.counted }).map(([title, count]) => ({ title, ...count })),
    faults,
  };
}
