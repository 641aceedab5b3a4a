/**
 * `deno task simulate`: simulates the limit of `maxConnections: "auto"` on a backend of a given latency and capacity,
 * and compares it with fixed limits. No network, no waiting: a minute is simulated in seconds.
 *
 * @module
 */
import { AdaptiveLimit } from "../../shared/resilience/adaptive_limit.ts";
import { parseFlags, UsageError } from "../support/options.ts";
import {
  type Backend,
  fixedLimit,
  latencyBackend,
  type Limiter,
  seeded,
  type Seen,
  simulate,
  summarize,
} from "./simulation.ts";

const HELP = `Usage: deno task simulate [options]

Simulates the limit of maxConnections "auto" on a backend whose latency grows past its
capacity, and prints the limit, throughput and latency over time beside fixed limits.

  --latency <ms>     Latency of a call below capacity (default 20)
  --capacity <n>     Calls that do not slow each other down (default 100)
  --callers <n>      Concurrent callers (default 1000)
  --degrade <power>  How latency grows past capacity: 1 keeps throughput, 2 halves it
                     at twice the capacity (default 1)
  --noise <cv>       Coefficient of variation of latency (default 0.2)
  --drop <n>         Capacity in the third quarter of the time (default: no drop)
  --refuse-above <n> Calls above this number are refused with 503 (default: none)
  --seconds <s>      Simulated time (default 40)
  --seed <n>         Seed of all that is random (default 1)
  --help             Print this
`;

const FIXED_LIMITS = [10, 20, 50, 100, 200, 400];

/** The settings of a simulation. */
export interface SimulateOptions {
  readonly latency: number;
  readonly capacity: number;
  readonly callers: number;
  readonly degrade: number;
  readonly noise: number;
  readonly drop: number | undefined;
  readonly refuseAbove: number;
  readonly seconds: number;
  readonly seed: number;
}

/**
 * Parses the command line.
 *
 * @returns `undefined` for `--help`.
 * @throws {UsageError} naming the invalid argument.
 */
export function parseSimulateOptions(args: readonly string[]): SimulateOptions | undefined {
  const text = { type: "string" } as const;
  const flags = parseFlags(args, {
    latency: text,
    capacity: text,
    callers: text,
    degrade: text,
    noise: text,
    drop: text,
    "refuse-above": text,
    seconds: text,
    seed: text,
    help: { type: "boolean", default: false },
  });
  if (flags.help) return undefined;
  const number = <T>(
    name: Exclude<keyof typeof flags, "help">,
    fallback: T,
    min: number,
    max: number,
    isWhole = true,
  ) => {
    const given = flags[name];
    if (given === undefined) return fallback;
    const value = Number(given);
    if (given.trim() === "" || !(value >= min && value <= max) || (isWhole && !Number.isInteger(value))) {
      throw new UsageError(`--${name} is "${given}", must be a ${isWhole ? "whole " : ""}number from ${min} to ${max}`);
    }
    return value;
  };
  return {
    latency: number("latency", 20, 0.1, 60_000, false),
    capacity: number("capacity", 100, 1, 10_000),
    callers: number("callers", 1_000, 1, 10_000),
    degrade: number("degrade", 1, 0, 4, false),
    noise: number("noise", 0.2, 0, 2, false),
    drop: number<number | undefined>("drop", undefined, 1, 10_000),
    refuseAbove: number("refuse-above", Infinity, 1, 10_000),
    seconds: number("seconds", 40, 4, 600),
    seed: number("seed", 1, 0, 2 ** 32 - 1),
  };
}

function createBackend({ latency, capacity, degrade, noise, drop, refuseAbove, seconds }: SimulateOptions): Backend {
  const isDropped = (now: number) => drop !== undefined && now >= seconds * 500 && now < seconds * 750;
  return latencyBackend({
    latencyMs: latency,
    capacity: (now) => isDropped(now) ? drop ?? capacity : capacity,
    degrade,
    noise,
    refuseAbove,
  });
}

function run(options: SimulateOptions, limiter: Limiter): Seen {
  const pool = { limiter, backend: createBackend(options), callers: options.callers };
  const [seen = { ends: [], limits: [] }] = simulate([pool], options.seconds * 1_000, options.seed);
  return seen;
}

const WIDTH = 72;
const HEIGHT = 8;

/** Draws values from left to right as a plot of text, from 0 to the highest. */
export function drawPlot(title: string, values: readonly number[]): string {
  const known = values.filter((value) => Number.isFinite(value));
  const top = Math.max(...known, 1e-9);
  const rows = Array.from({ length: HEIGHT }, (_, row) => {
    const level = HEIGHT - row;
    const label = row === 0 ? top.toFixed(top < 10 ? 1 : 0) : row === HEIGHT - 1 ? "0" : "";
    const dots = values.map((value) => Math.max(1, Math.ceil(value / top * HEIGHT)) === level ? "*" : " ").join("");
    return `${label.padStart(8)} |${dots.trimEnd()}`;
  });
  return [title, ...rows, `${" ".repeat(9)}+${"-".repeat(values.length)}`].join("\n");
}

/** Returns the report of a simulation. */
export function simulateReport(options: SimulateOptions): string {
  const { latency, capacity, callers, degrade, noise, drop, seconds } = options;
  const endMs = seconds * 1_000;
  const adaptive = run(options, new AdaptiveLimit({ random: seeded(options.seed) }));
  const windows = Array.from({ length: WIDTH }, (_, index) => {
    const [from, to] = [endMs * index / WIDTH, endMs * (index + 1) / WIDTH];
    const limits = adaptive.limits.filter(({ at }) => at >= from && at < to).map(({ limit }) => limit);
    return { ...summarize(adaptive, from, to), limit: limits.reduce((sum, limit) => sum + limit, 0) / limits.length };
  });
  // The first quarter is the warm-up.
  const describe = (name: string, seen: Seen) => {
    const { perSecond, callP50, callP99, totalP99 } = summarize(seen, endMs / 4, endMs);
    const ends = seen.ends.filter(({ at }) => at >= endMs / 4);
    const refused = 100 * ends.filter(({ ok }) => !ok).length / Math.max(1, ends.length);
    const cells = [
      perSecond.toFixed(0),
      callP50.toFixed(1),
      callP99.toFixed(1),
      totalP99.toFixed(0),
      refused.toFixed(2),
    ];
    return { name, perSecond, callP99, line: [name.padEnd(8), ...cells.map((cell) => cell.padStart(11))].join("") };
  };
  const rows = FIXED_LIMITS.map((limit) => describe(String(limit), run(options, fixedLimit(limit))));
  const auto = describe("auto", adaptive);
  const settled = adaptive.limits.filter(({ at }) => at >= endMs / 4).map(({ limit }) => limit).sort((a, b) => a - b);
  const recommended = settled[settled.length >> 1] ?? 0;
  return [
    `Backend: ${latency} ms, capacity ${capacity}${
      drop ? `, ${drop} in the third quarter` : ""
    }, degrade ${degrade}, ` +
    `noise ${noise}. Callers: ${callers}. Time: ${seconds} s.`,
    "",
    drawPlot("limit", windows.map(({ limit }) => limit)),
    drawPlot("throughput, calls/s", windows.map(({ perSecond }) => perSecond)),
    drawPlot("p99 of calls, ms", windows.map(({ callP99 }) => callP99)),
    "",
    "After the first quarter:",
    ["limit".padEnd(8), ...["calls/s", "p50 ms", "p99 ms", "with wait", "refused %"].map((head) => head.padStart(11))]
      .join(""),
    ...rows.map(({ line }) => line),
    auto.line,
    "",
    `Recommended: maxConnections "auto", or the fixed limit ${recommended} for exactly this backend.`,
  ].join("\n");
}

/** Runs the command. Returns its exit code. */
function main(args: readonly string[]): number {
  try {
    const options = parseSimulateOptions(args);
    console.log(options ? simulateReport(options) : HELP);
    return 0;
  } catch (error) {
    if (!(error instanceof UsageError)) throw error;
    console.error(error.message);
    return 2;
  }
}

if (import.meta.main) Deno.exitCode = main(Deno.args);
