/** The queries of docs/grafana.json and docs/prometheus-alerts.yml, compared with the metrics that exist. */
import { assert, assertEquals } from "@std/assert";
import { readPrometheus } from "../../../local/dashboard/prometheus.ts";
import {
  MetricsRegistry,
  observePool,
  RequestMetrics,
  toPrometheusText,
} from "../../../shared/observability/metrics/mod.ts";
import { cacheInstruments } from "../../../shared/observability/metrics/cache_instruments.ts";
import { poolInstruments } from "../../../shared/observability/metrics/pool_instruments.ts";
import { ResourcePool } from "../../../shared/pool/mod.ts";

/** The labels of every metric of the function `health`. */
const FLEET_LABELS = ["function", "region", "isolate"];

/** Metrics of the fleet itself, which have no labels. */
const FLEET_METRICS = ["pool_fleet_isolates", "pool_fleet_isolates_without_metrics"];

/** Returns the name of each line that a metric may have, and its labels. */
function knownLines(): Map<string, ReadonlySet<string>> {
  const lines = new Map(FLEET_METRICS.map((name) => [name, new Set<string>() as ReadonlySet<string>]));
  const real = new MetricsRegistry();
  const note = (suffixes: readonly string[], name: string, labels: readonly string[], more: readonly string[] = []) => {
    for (const suffix of suffixes) lines.set(name + suffix, new Set([...labels, ...FLEET_LABELS, ...more]));
  };
  type Options = { readonly labels?: readonly string[] };
  const recorder = new Proxy(real, {
    get(target, kind) {
      const method = Reflect.get(target, kind);
      if (kind !== "counter" && kind !== "gauge" && kind !== "histogram") return method;
      return (name: string, options: Options) => {
        if (kind !== "histogram") note([""], name, options.labels ?? []);
        else {
          note(["_sum", "_count"], name, options.labels ?? []);
          note(["_bucket"], name, options.labels ?? [], ["le"]);
        }
        return method.call(target, name, options);
      };
    },
  });
  poolInstruments(recorder);
  cacheInstruments(recorder);
  new RequestMetrics(recorder).add({
    status: 200,
    error: undefined,
    durationMs: 1,
    verifyMs: 0,
    waitedMs: 0,
    upstreamMs: 0,
  });
  return lines;
}

/** Words of PromQL, and variables of Grafana, that are not metrics. */
const KEYWORDS =
  /^(?:sum|max|min|avg|by|without|rate|increase|last_over_time|offset|histogram_quantile|label_values|and|or|unless|on|ignoring|le)$/;

/** Returns what is wrong with a query: metrics and labels that do not exist. */
function faultsOf(query: string, lines: ReadonlyMap<string, ReadonlySet<string>>): string[] {
  const faults: string[] = [];
  const grouped = [...query.matchAll(/\bby\s*\(([^)]*)\)/g)].flatMap(([, labels = ""]) => labels.split(/\s*,\s*/));
  const rest = query.replaceAll(/\bby\s*\([^)]*\)/g, "by")
    .replaceAll(/\[[^\]]*\]|(?<=\boffset )\d+m\b/g, "");
  // What is joined on no label has none to group by.
  const joined = new Set([...query.matchAll(/\bon \(\) (\w+)/g)].map(([, name]) => name));
  const selectors = [...rest.matchAll(/([a-zA-Z_:][\w:]*)\s*(?:\{([^}]*)\})?/g)]
    .filter(([, name = ""]) => !KEYWORDS.test(name));
  for (const [, name = "", matchers = ""] of selectors) {
    const labels = lines.get(name);
    if (!labels) {
      faults.push(`${name} is not a metric`);
      continue;
    }
    const matched = [...matchers.matchAll(/([a-zA-Z_]\w*)\s*(?:=~|!~|!=|=)/g)].map(([, label = ""]) => label);
    for (const label of joined.has(name) ? matched : [...matched, ...grouped]) {
      if (!labels.has(label)) faults.push(`${name} has no label ${label}`);
    }
  }
  if (selectors.length === 0) faults.push("there is no metric");
  return faults;
}

async function read(path: string): Promise<string> {
  return await Deno.readTextFile(new URL(`../../../${path}`, import.meta.url));
}

Deno.test("faultsOf() finds metrics and labels that do not exist", () => {
  const lines = knownLines();
  const wait = "db_client_connection_wait_time_seconds";
  assertEquals(faultsOf(`sum by (le, function) (rate(${wait}_bucket{region="a"}[5m])) > 0.5`, lines), []);
  assertEquals(faultsOf(`rate(${wait}_count{le="5"}[5m])`, lines), [`${wait}_count has no label le`]);
  assertEquals(faultsOf("sum by (state) (db_client_connections)", lines), ["db_client_connections has no label state"]);
  assertEquals(faultsOf(`${wait}_buckets`, lines), [`${wait}_buckets is not a metric`]);
  assertEquals(faultsOf("sum by (function) (pool_fleet_isolates)", lines), [
    "pool_fleet_isolates has no label function",
  ]);
  assertEquals(faultsOf(`sum by (function) (${wait}_count and on () pool_fleet_isolates offset 5m)`, lines), []);
  assertEquals(faultsOf(`${wait}_count unless on () pool_fleet`, lines), ["pool_fleet is not a metric"]);
  assertEquals(faultsOf("1", lines), ["there is no metric"]);
});

Deno.test("every query of docs/grafana.json asks for metrics and labels that exist", async () => {
  const dashboard = JSON.parse(await read("docs/grafana.json"));
  const lines = knownLines();
  const queries: string[] = [];
  for (const { title, targets } of dashboard.panels) {
    for (const { expr, legendFormat } of targets) {
      queries.push(expr);
      assertEquals(faultsOf(expr, lines), [], `${title}: ${expr}`);
      for (const [, label = ""] of legendFormat.matchAll(/\{\{(\w+)\}\}/g)) {
        assert(new RegExp(`by \\([^)]*\\b${label}\\b`).test(expr), `${title}: the legend shows ${label}`);
      }
    }
  }
  for (const { query, type } of dashboard.templating.list) {
    if (type !== "query") continue;
    const [, metric = "", label = ""] = /^label_values\((\w+), (\w+)\)$/.exec(query) ?? [];
    assert(lines.get(metric)?.has(label), query);
  }
  // A metric that no panel shows is missed when it is needed.
  const unseen = [...lines.keys()].filter((name) =>
    !/_sum$|_count$/.test(name) && !queries.some((one) => one.includes(name))
  );
  assertEquals(unseen, []);
});

Deno.test("every rule of docs/prometheus-alerts.yml asks for metrics and labels that exist", async () => {
  const text = await read("docs/prometheus-alerts.yml");
  const queries = [...text.matchAll(/^ +expr: (?:\|\n((?: {10,}.*\n)+)|(.*))/gm)].map(([, block, line]) =>
    block ?? line ?? ""
  );
  assertEquals(queries.length, text.split("- alert: ").length - 1);
  for (const query of queries) assertEquals(faultsOf(query, knownLines()), [], query);
});

Deno.test("what a pool exposes has the names and labels that the queries are checked with", async () => {
  const registry = new MetricsRegistry();
  const pool = new ResourcePool({ create: () => Promise.resolve({}), destroy: () => {} }, { maxConnections: 2 });
  using _observed = observePool(registry, pool, "test");
  for (let n = 0; n < 3; n++) {
    await using _lease = await pool.lease();
  }
  const lines = knownLines();
  const samples = readPrometheus(toPrometheusText(registry.snapshot()));
  assert(samples.length > 10);
  for (const { name, labels } of samples) {
    const known = lines.get(name);
    assert(known, name);
    for (const label of Object.keys(labels)) assert(known.has(label), `${name} ${label}`);
  }
  await pool.shutdown();
});
