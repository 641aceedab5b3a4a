/**
 * The report of all benchmarks, as Markdown.
 *
 * @module
 */
import { markdownTable } from "../support/markdown.ts";
import type { CaseResult, Results } from "../support/results.ts";
import { shown, shownFigure, targetLine } from "../support/text.ts";
import { type Measured, type Promised, promises } from "./promises.ts";
import { type BenchmarkName, BENCHMARKS, Figures, type StoredResults } from "./stored.ts";

const TITLES: Readonly<Record<BenchmarkName, string>> = {
  pool: "The pool core",
  handler: "A handled request",
  postgres: "Direct Postgres",
  data: "Kysely and the query builder",
  replicas: "A primary and its standby",
  cold_start: "The first request of an isolate",
  compare: "A client per request and pooled clients, on the local stack",
  claims: "Sockets and limits",
  fair: "A caller beside a flood",
  adaptive: "The adaptive limit beside fixed limits",
  cache: "The cache",
};

/** The titles of metrics in tables. */
const METRICS: Readonly<Record<string, string>> = {
  ns: "ns",
  bytes: "bytes",
  retainedBytes: "retained bytes",
  longestTickMs: "longest tick, ms",
  cpuUs: "CPU, µs",
  setupUs: "µs",
  requestsPerSecond: "requests/s",
  perSecond: "per second",
  meanMs: "mean, ms",
  p50Ms: "p50, ms",
  p95Ms: "p95, ms",
  p99Ms: "p99, ms",
  peakBackends: "connections",
  failedPercent: "failed, %",
  importMs: "import, ms",
  answerMs: "request, ms",
  totalMs: "both, ms",
  cpuMs: "CPU, ms",
  processMs: "process, ms",
  sockets: "sockets",
  backends: "backends",
  busyBackends: "active backends",
  heapMb: "heap, MB",
  limit: "limit",
  loads: "loads",
};

function environmentTable({ benchmarks, soak }: StoredResults): string {
  const rows = BENCHMARKS.map((name) => {
    const results = benchmarks.get(name);
    if (!results) return [`\`bench:${name}\``, "not measured", "", "", "", ""];
    const { environment: { at, load, postgres, peers }, rounds, quick } = results;
    const versions = Object.entries({ ...postgres === undefined ? {} : { PostgreSQL: postgres }, ...peers });
    return [
      `\`bench:${name}\``,
      at.slice(0, 16).replace("T", " "),
      String(rounds),
      quick ? "quick" : "full",
      shown(load),
      versions.map(([peer, version]) => `${peer} ${version}`).join(", "),
    ];
  });
  if (soak) {
    const { at, load, postgres } = soak.environment;
    const length = `${shownFigure(soak.minutes)} min`;
    rows.push(["`soak`", at.slice(0, 16).replace("T", " "), "", length, shown(load), `PostgreSQL ${postgres}`]);
  }
  return markdownTable([["benchmark", "measured (UTC)", "rounds", "size", "load at start", "versions"], ...rows]);
}

/** Lists the machines and runtimes of the results; more than one if they were not measured together. */
function machines({ benchmarks, soak }: StoredResults): string {
  const environments = [...benchmarks.values(), ...soak ? [soak] : []].map(({ environment }) => environment);
  const all = environments.map(({ cpu, cores, os, deno, v8 }) =>
    `${cpu}, ${cores} cores, ${os}; Deno ${deno}, V8 ${v8}`
  );
  return [...new Set(all)].map((one) => `- ${one}`).join("\n");
}

function cell({ value, holds }: Measured): string {
  if (holds === undefined) return value;
  return holds ? `**holds**: ${value}` : `**does not hold**: ${value}`;
}

function promiseSection(all: readonly Promised[], stored: StoredResults): string {
  const figures = new Figures(stored);
  const broken = all.filter(({ http }) => http.holds === false);
  const handler = [
    ["p50Ms", "response time"],
    ["requestsPerSecond", "throughput"],
  ].map(([metric = "", what = ""]) => {
    const percent = figures.change("handler", "handlers", "with_supabase", metric);
    return Number.isNaN(percent)
      ? `${what} not measured`
      : `${what} ${percent < 0 ? "−" : "+"}${shownFigure(Math.round(Math.abs(percent)))} %`;
  });
  return [
    markdownTable([
      ["", "specified", "HTTP clients", "direct Postgres"],
      ...all.map(({ what, specified, http, postgres }) => [what, specified, cell(http), cell(postgres)]),
    ]),
    broken.length === 0
      ? "Every promise that was measured holds for HTTP clients."
      : "Not true for HTTP clients:\n\n" + broken.map(({ what, whyNot }) => `- **${what}.** ${whyNot}`).join("\n"),
    `A whole request of \`withPooledSupabase\`, compared with \`withSupabase\`: ${
      handler.join(", ")
    }. Most of that are ` +
    "remembered tokens, not clients.",
    "What is compared:\n\n" + all.map(({ what, compared }) => `- **${what}.** ${compared}`).join("\n"),
  ].join("\n\n");
}

function caseTable({ title, metrics, candidates }: CaseResult<string>): string {
  const shownMetrics = metrics.filter((metric) => candidates.some(({ measured }) => measured[metric]));
  const ratios = shownMetrics.filter((metric) =>
    candidates.some(({ id, measured }) => id !== "ours" && (measured[metric]?.timesOurs ?? null) !== null)
  );
  const nameOf = (metric: string) => METRICS[metric] ?? metric;
  return markdownTable([
    [
      title,
      ...shownMetrics.flatMap((metric) => [
        `${nameOf(metric)} (quartiles)`,
        ...ratios.includes(metric) ? ["times ours"] : [],
      ]),
    ],
    ...candidates.map(({ id, title, measured }) => [
      id === "ours" ? `**${title}**` : title,
      ...shownMetrics.flatMap((metric) => {
        const summary = measured[metric];
        const text = summary && summary.median !== null
          ? `${shownFigure(summary.median)} (${shownFigure(summary.low)}–${shownFigure(summary.high)})`
          : "–";
        return [text, ...ratios.includes(metric) ? [shown(summary?.timesOurs)] : []];
      }),
    ]),
  ]);
}

function benchmarkSection(name: BenchmarkName, results: Results<string> | undefined, plots: string): string {
  const head = `## ${TITLES[name]}`;
  if (!results) return `${head}\n\nNot measured.`;
  const targets = results.targets.map(targetLine);
  return [
    head,
    `\`npx -y deno task bench:${name}\`. Medians of ${results.rounds} interleaved rounds, with quartiles; a ratio is the ` +
    "median of the rounds' ratios.",
    `![${TITLES[name]}](${plots}${name}.svg)`,
    ...results.cases.map(caseTable),
    ...targets.length > 0 ? [markdownTable([["target", "measured", "limit", "result"], ...targets])] : [],
  ].join("\n\n");
}

function soakSection({ soak }: StoredResults, plots: string): string {
  const head = "## Soak";
  if (!soak) return `${head}\n\nNot measured. \`npx -y deno task soak\` takes 30 minutes.`;
  const faults = Object.entries(soak.faults).map(([what, count]) => `${count} × ${what}`).join(", ");
  return [
    head,
    `\`npx -y deno task soak\`: ${
      shownFigure(soak.minutes)
    } minutes of load on the local stack, with faults (${faults}). A ` +
    "series grows when the median of its last third exceeds that of the first third, after a warm-up of a fifth, by " +
    "more than the allowance, and the Mann-Kendall test finds that its values rise (above 2.33: 99 % confidence).",
    `![Soak](${plots}soak.svg)`,
    markdownTable([
      ["series", "first third", "last third", "allowance", "Mann-Kendall", "result"],
      ...soak.series.map(({ title, unit, growth: { first, last, allowed, trend, grows } }) => [
        `${title}, ${unit}`,
        shownFigure(first),
        shownFigure(last),
        shownFigure(allowed),
        shown(trend),
        grows ? "**grows**" : "flat",
      ]),
    ]),
    markdownTable([
      ["load", "sent", "failed"],
      ...soak.load.map(({ title, sent, failed }) => [title, shownFigure(sent), shownFigure(failed)]),
    ]),
  ].join("\n\n");
}

/** Options of {@linkcode renderReport}. */
export interface ReportOptions {
  /** The command that writes the report again. */
  readonly command: string;
  /** The prefix of the paths of plots: `results/`, or empty. */
  readonly plots: string;
}

/** Renders the report. */
export function renderReport(stored: StoredResults, { command, plots }: ReportOptions): string {
  const quick = [...stored.benchmarks.values()].some((results) => results.quick);
  return [
    "# Benchmark report",
    `Written by \`${command}\`; do not edit. Compare ratios, not absolute numbers: they are of values measured moments ` +
    "apart, on a machine that runs other programs, too.",
    ...quick ? ["Some benchmarks ran in quick mode, with few rounds: do not quote these figures."] : [],
    "## The specification's promises",
    promiseSection(promises(new Figures(stored)), stored),
    "## Environment",
    machines(stored),
    environmentTable(stored),
    ...BENCHMARKS.map((name) => benchmarkSection(name, stored.benchmarks.get(name), plots)),
    soakSection(stored, plots),
  ].join("\n\n") + "\n";
}
