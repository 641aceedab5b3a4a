/**
 * The text of a load: its progress and its summary.
 *
 * @module
 */
import { printable } from "../printable.ts";
import type { TimeHistogram } from "./histogram.ts";
import type { LoadPlan, LoadResult } from "./run.ts";

/** The width of the bars, in characters. */
const BAR = 40;

/** Returns a time, with the unit that fits it. */
function time(ms: number): string {
  if (ms >= 10_000) return `${(ms / 1000).toFixed(1)} s`;
  return `${ms >= 100 ? ms.toFixed(0) : ms >= 10 ? ms.toFixed(1) : ms.toFixed(2)} ms`;
}

/** Returns a rate per second, `0.0` for no time. */
function rate(count: number, elapsedMs: number): string {
  return (elapsedMs > 0 ? count / elapsedMs * 1000 : 0).toFixed(1);
}

/** Returns a table of two columns: a name, and what follows it. */
function columns(rows: readonly (readonly [string, string])[]): string[] {
  const width = Math.max(...rows.map(([name]) => name.length));
  return rows.map(([name, text]) => `  ${name.padEnd(width)}  ${text}`);
}

function histogramLines(histogram: TimeHistogram): string[] {
  const rows = histogram.rows();
  const most = Math.max(...rows.map(({ count }) => count));
  const countWidth = String(most).length;
  return rows.map(({ toMs, count }) => {
    // A row that is not empty has a bar.
    const bar = "#".repeat(count === 0 ? 0 : Math.max(1, Math.round(count / most * BAR)));
    const label = toMs >= 1000 ? `${toMs / 1000} s` : `${toMs} ms`;
    return `  <= ${label.padEnd(7)} ${String(count).padStart(countWidth)}  ${bar}`.trimEnd();
  });
}

/** Hints on the most frequent refusal, for a load without a successful response. */
const HINTS: readonly (readonly [refusal: RegExp, hint: string])[] = [
  [/^(?:401|403)\b/, "The function rejected the caller: choose another one with --user."],
  [/^404\b/, "There is no such function or path: check --function and --path."],
  [/^405\b/, "The function does not have this method: check --method."],
  [/^(?:400|415|422)\b/, "The function rejected the input: check --path, --body and --header."],
  [/^no response connection/, "Nothing responds at this address: check that the project runs."],
  [/^no response timeout/, "The function did not respond within --timeout: see its log."],
];

function hintLines({ successes, refusals }: LoadResult): string[] {
  const [most] = [...refusals].sort((a, b) => b[1] - a[1]);
  const hint = successes.count > 0 || !most ? undefined : HINTS.find(([refusal]) => refusal.test(most[0]));
  return hint ? ["", hint[1]] : [];
}

/** Returns the summary, one line each. */
export function summaryOf({ rps, concurrency, seconds }: LoadPlan, result: LoadResult, interrupted: boolean): string[] {
  const { successes, times, refusals, elapsedMs, unfinished, unsent, latestMs } = result;
  const failed = times.count - successes.count;
  const plan = rps === undefined ? `${concurrency} callers` : `${rps} requests per second`;
  const lines = [
    "",
    `${interrupted ? "Interrupted after" : "Completed in"} ${(elapsedMs / 1000).toFixed(1)} s: ${plan}, ${seconds} s`,
    "",
    ...columns([
      ["responses", `${times.count}`],
      ["successful", `${successes.count}, ${rate(successes.count, elapsedMs)} per second`],
      ["refused or failed", `${failed}, ${rate(failed, elapsedMs)} per second`],
      ...(unfinished > 0 ? [["in flight at the end", `${unfinished}, aborted`]] satisfies [string, string][] : []),
    ]),
  ];
  const shown = successes.count > 0 ? successes : times;
  if (shown.count > 0) {
    const from = rps === undefined ? "" : ", from the turn of each request";
    lines.push("", `Times of ${successes.count > 0 ? "successful" : "all"} responses${from}`, "");
    const shares: [string, number][] = [["p50", 0.5], ["p90", 0.9], ["p95", 0.95], ["p99", 0.99], ["p99.9", 0.999]];
    lines.push(...columns([
      ["mean", time(shown.meanMs)],
      ...shares.map(([name, share]) => [name, time(shown.percentile(share))] satisfies [string, string]),
      ["max", time(shown.maxMs)],
    ]));
    lines.push("", ...histogramLines(shown));
  }
  if (refusals.size > 0) {
    lines.push("", "Refusals and failures by status and code", "");
    const counts = [...refusals].sort((a, b) => b[1] - a[1]);
    lines.push(...columns(counts.map(([code, count]) => [printable(code), String(count)])));
    lines.push(...hintLines(result));
  }
  if (unsent > 0) {
    lines.push(
      "",
      `${unsent} requests were not sent, because ${concurrency} were in flight or this machine was busy: ` +
        `the times above are too low. Lower --rps, or raise --concurrency.`,
    );
  } else if (rps !== undefined && latestMs > 1_000) {
    lines.push("", `Requests were sent up to ${time(latestMs)} after their turn; that time counts.`);
  }
  return [...lines, ""];
}

/** Returns the line of progress. */
export function progressOf({ seconds }: LoadPlan, result: LoadResult, width: number): string {
  const share = Math.min(1, result.elapsedMs / (seconds * 1000));
  const failed = result.times.count - result.successes.count;
  const elapsed = `${(result.elapsedMs / 1000).toFixed(0)}/${seconds} s`;
  const median = result.successes.count > 0 ? `, p50 ${time(result.successes.percentile(0.5))}` : "";
  // The time is up, but a response may still come.
  const waiting = share === 1 && result.inFlight > 0 ? `, waiting for ${result.inFlight}` : "";
  const text = `${elapsed}  ${result.times.count} responses, ${failed} failed${median}${waiting}`;
  const room = Math.max(0, Math.min(30, width - text.length - 4));
  const filled = Math.round(share * room);
  const bar = room > 0 ? `[${"#".repeat(filled)}${" ".repeat(room - filled)}] ` : "";
  return `${bar}${text}`.slice(0, Math.max(0, width - 1));
}
