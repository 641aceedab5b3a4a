/**
 * Writes the tables of figures in the documents from `bench/results/`. A table
 * stands between `<!-- figures:NAME -->` and `<!-- /figures -->`.
 *
 * @module
 */
import { markdownTable } from "../../bench/support/markdown.ts";
import type { Results } from "../../bench/support/results.ts";
import { shown, shownFigure } from "../../bench/support/text.ts";

const ROOT = new URL("../../", import.meta.url);

/** A column: a metric of a case, or how many times ours it is. */
interface Column {
  readonly title: string;
  readonly caseId: string;
  readonly metric: string;
  /** Shows the ratio to ours instead of the median. `of ours` divides ours by it. */
  readonly ratio?: "to ours" | "of ours";
}

/** A table with one row per candidate. */
interface Table {
  /** The name of the results file. */
  readonly file: string;
  /** The title of the first column. */
  readonly title: string;
  /** The candidates by id, in order, and what the table calls them. */
  readonly rows: Readonly<Record<string, string>>;
  readonly columns: readonly Column[];
  /** True to show candidates as columns and cases as rows. */
  readonly turned?: boolean;
}

const HANDLERS: Readonly<Record<string, string>> = {
  floor_fetch: "`fetch` alone, nothing verified",
  shared: "a shared client, nothing verified",
  lease: "a lease of the pool, nothing verified",
  shared_verified: "`verifyAuth` and a shared client",
  with_supabase: "`withSupabase`",
  ours_no_memory: "`withPooledSupabase`, tokens not remembered",
  ours: "**`withPooledSupabase`**",
  ours_observed: "`withPooledSupabase`, metrics, fleet and log at `debug`",
  ours_traced: "the same with spans",
};

const POOLS: Readonly<Record<string, string>> = {
  floor: "floor",
  floor_timer: "floor with one shared timer",
  ours: "**this pool**",
  ours_subscriber: "this pool, with a metrics recorder",
  ours_listener: "this pool, with an event listener",
  generic_pool: "generic-pool",
  generic_pool_timeout: "generic-pool, timeout",
  lightning_pool: "lightning-pool",
  lightning_pool_timeout: "lightning-pool, timeout",
  tarn: "tarn (always has a timeout)",
  p_limit: "p-limit (leases nothing)",
};

const POSTGRES: Readonly<Record<string, string>> = {
  per_request: "a connection per request",
  pg_pool: "pg Pool",
  postgres: "postgres.js",
  core_pg: "our pool core on pg",
  core_postgres: "our pool core on postgres.js",
  ours_alone: "ours, no connection shared",
  ours: "**ours**",
};

const poolColumns = (ratio?: "to ours"): Column[] =>
  [["one", "one caller"], ["callers", "100 callers"], ["crowd_10k", "10k waiters"], ["crowd_100k", "100k waiters"]]
    .map(([caseId = "", title = ""]) => ({ title, caseId, metric: "ns", ...(ratio ? { ratio } : {}) }));

const postgresColumns = (metric: string, ratio?: "of ours" | "to ours"): Column[] =>
  [["one", "one row"], ["twenty", "20 rows"], ["transaction", "transaction of three"]]
    .map(([caseId = "", title = ""]) => ({ title, caseId, metric, ...(ratio ? { ratio } : {}) }));

const handlerColumn = (title: string, metric: string, ratio?: "of ours"): Column => {
  return { title, caseId: "handlers", metric, ...(ratio ? { ratio } : {}) };
};

const coldStartColumns = (metric: string): Column[] =>
  [
    ["hosted", "bundled, Deno 2.1.4 (hosted)"],
    ["verified", "the same for a user whose token is verified"],
    ["bundled", "bundled, Deno 2.9"],
    ["sources", "from sources, Deno 2.9"],
  ].map(([caseId = "", title = ""]) => ({ title, caseId, metric }));

const COLD_START = { bare: "a bare client", with_supabase: "`withSupabase`", ours: "`withPooledSupabase`" };
const LIMITS: Readonly<Record<string, string>> = {
  limit_10: "10",
  limit_20: "20",
  limit_50: "50",
  ours: "100",
  limit_200: "200",
  no_limit: "1,000 (no caller waits)",
  shared: "a shared client, no pool",
};

/** The tables, by the name in their marker. */
const TABLES: Readonly<Record<string, Table>> = {
  pool: {
    file: "pool",
    title: "ns",
    rows: POOLS,
    columns: [...poolColumns(), { title: "bytes, 100 callers", caseId: "bytes", metric: "bytes" }],
  },
  "pool-ratios": { file: "pool", title: "times this pool", rows: POOLS, columns: poolColumns("to ours") },
  "pool-expiry": {
    file: "pool",
    title: "10,000 waiters expire at once",
    rows: { floor_timer: POOLS["floor_timer"] ?? "", ours: POOLS["ours"] ?? "" },
    columns: [
      { title: "ns each", caseId: "expiry_10k", metric: "ns" },
      { title: "longest tick, ms", caseId: "expiry_10k", metric: "longestTickMs" },
      { title: "ns each of 50,000", caseId: "expiry_50k", metric: "ns" },
      { title: "longest tick, ms", caseId: "expiry_50k", metric: "longestTickMs" },
    ],
  },
  "pool-sync": {
    file: "pool",
    title: "synchronous calls",
    rows: {
      clock_date: "`Date.now()`",
      bare_array: "`pop` and `push` of an array",
      ours_try: "`tryLease` and `release` of this pool",
    },
    columns: [{ title: "ns", caseId: "sync", metric: "ns" }],
  },
  handler: {
    file: "handler",
    title: "100 callers",
    rows: HANDLERS,
    columns: [
      handlerColumn("requests/s", "requestsPerSecond"),
      handlerColumn("p50 ms", "p50Ms"),
      handlerColumn("p99 ms", "p99Ms"),
      handlerColumn("CPU, µs", "cpuUs"),
      handlerColumn("ours: requests/s, times", "requestsPerSecond", "of ours"),
      handlerColumn("ours: p99, times", "p99Ms", "of ours"),
    ],
  },
  readme: {
    file: "handler",
    title: "100 callers, one query each",
    rows: {
      with_supabase: "`withSupabase`",
      shared: "one shared client: no verification, isolation or limit",
      ours: "`withPooledSupabase`",
    },
    columns: [handlerColumn("requests/s", "requestsPerSecond"), handlerColumn("p99 ms", "p99Ms")],
  },
  "handler-parts": {
    file: "handler",
    title: "one part alone",
    rows: {
      client: "`createClient`",
      from: "`from()` of a shared client",
      view: "a view and its `from()`",
      lease: "a lease, its view and its `from()`",
      recall: "a remembered token",
      verify: "`verifyAuth`",
      stamp: "`Response.json` with the `X-Pool-*` headers",
      handler: "the handler, no query",
    },
    columns: [
      { title: "CPU, µs", caseId: "steps", metric: "cpuUs" },
      { title: "heap, bytes", caseId: "bytes", metric: "bytes" },
    ],
  },
  compare: {
    file: "compare",
    title: "100 at once",
    rows: {
      per_request: "a client per request",
      ours: "pooled, `maxConnections` 20",
      ours_100: "pooled, `maxConnections` 100",
    },
    columns: [
      ["requests/s", "requestsPerSecond"],
      ["mean ms", "meanMs"],
      ["p50", "p50Ms"],
      ["p95", "p95Ms"],
      ["p99", "p99Ms"],
      ["sockets", "sockets"],
      ["backends", "backends"],
      ["heap, MB", "heapMb"],
    ].map(([title = "", metric = ""]) => ({ title, caseId: "burst", metric })),
  },
  "cold-start": {
    file: "cold_start",
    title: "ms",
    rows: COLD_START,
    columns: coldStartColumns("totalMs"),
    turned: true,
  },
  "cold-start-cpu": {
    file: "cold_start",
    title: "CPU, ms",
    rows: COLD_START,
    columns: coldStartColumns("cpuMs"),
    turned: true,
  },
  postgres: { file: "postgres", title: "per second", rows: POSTGRES, columns: postgresColumns("perSecond") },
  "postgres-ratios": {
    file: "postgres",
    title: "ours, times",
    rows: POSTGRES,
    columns: postgresColumns("perSecond", "of ours"),
  },
  "postgres-p99": {
    file: "postgres",
    title: "p99, ms",
    rows: { pg_pool: "pg Pool", postgres: "postgres.js", ours: "**ours**" },
    columns: postgresColumns("p99Ms"),
  },
  "postgres-latency": {
    file: "postgres",
    title: "server 10 ms away",
    rows: {
      plain: "a statement",
      user: "a statement as a user",
      list: "a transaction of three, as a list",
      three_plain: "three statements, one after the other",
      transaction: "a transaction of three, as a function",
    },
    columns: [{ title: "p50 ms", caseId: "latency", metric: "p50Ms" }],
  },
  sockets: {
    file: "claims",
    title: "2,000 requests",
    rows: {
      fresh: "a new client per request, one at a time",
      shared: "one shared client, one at a time",
      fresh_100: "a new client per request, 100 at a time",
      shared_100: "one shared client, 100 at a time",
      ours: "pool of 20, 100 at a time",
    },
    columns: [{ title: "sockets", caseId: "sockets", metric: "sockets" }],
  },
  limits: {
    file: "claims",
    title: "`maxConnections`",
    rows: LIMITS,
    columns: [
      { title: "requests/s", caseId: "limits", metric: "requestsPerSecond" },
      { title: "p50 ms", caseId: "limits", metric: "p50Ms" },
      { title: "p99 ms", caseId: "limits", metric: "p99Ms" },
    ],
  },
};

function cellOf(results: Results<string>, { caseId, metric, ratio }: Column, id: string): string {
  const candidate = results.cases.find((one) => one.id === caseId)?.candidates.find((one) => one.id === id);
  const figure = candidate?.measured[metric];
  if (ratio === undefined) return shownFigure(figure?.median);
  const timesOurs = figure?.timesOurs ?? NaN;
  return shown(ratio === "to ours" ? timesOurs : 1 / timesOurs);
}

async function tableOf(name: string): Promise<string> {
  const table = TABLES[name];
  if (!table) throw new Error(`Cannot write figures:${name}: TABLES in docs/generate/figures.ts has no such table`);
  const text = await Deno.readTextFile(new URL(`bench/results/${table.file}.json`, ROOT));
  const results: Results<string> = JSON.parse(text);
  const rows = Object.entries(table.rows).map(([id, title]) => [
    title,
    ...table.columns.map((column) => cellOf(results, column, id)),
  ]);
  const whole = [[table.title, ...table.columns.map(({ title }) => title)], ...rows];
  return markdownTable(
    table.turned ? (whole[0] ?? []).map((_, column) => whole.map((row) => row[column] ?? "")) : whole,
  );
}

const MARKED = /(<!-- figures:([\w-]+) -->\n)[^]*?(<!-- \/figures -->)/g;

/** Returns the text of a document with its tables written from the stored results. */
export async function renderFigures(path: string): Promise<string> {
  const text = await Deno.readTextFile(new URL(path, ROOT));
  const tables = new Map<string, string>();
  for (const { 2: name = "" } of text.matchAll(MARKED)) tables.set(name, await tableOf(name));
  return text.replaceAll(MARKED, (_, open: string, name: string, close: string) => {
    return `${open}\n${tables.get(name) ?? ""}\n\n${close}`;
  });
}
