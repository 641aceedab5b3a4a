/** deno task simulate: its options and its report. */
import { assertEquals, assertMatch, assertThrows } from "@std/assert";
import { drawPlot, parseSimulateOptions, simulateReport } from "../../bench/adaptive/simulate.ts";
import { UsageError } from "../../bench/support/options.ts";

Deno.test("parseSimulateOptions() reads the options, and rejects bad ones by name", () => {
  assertEquals(parseSimulateOptions(["--help"]), undefined);
  const options = parseSimulateOptions(["--latency", "5", "--capacity", "30", "--drop", "3"]);
  assertEquals([options?.latency, options?.capacity, options?.drop, options?.callers], [5, 30, 3, 1_000]);
  for (
    const args of [["--latency", "0"], ["--capacity", "1.5"], ["--capacity", ""], ["--noise", "x"], ["--seconds", "1"]]
  ) assertThrows(() => parseSimulateOptions(args), UsageError, args[0]);
  assertThrows(() => parseSimulateOptions(["--latncy", "5"]), UsageError, "--latncy");
});

Deno.test("simulateReport() has plots, a row for each limit, and a recommended limit near the capacity", () => {
  const options = parseSimulateOptions(["--latency", "20", "--capacity", "50", "--seconds", "12", "--noise", "0"]);
  const report = options ? simulateReport(options) : "";
  for (const text of [/^limit$/m, /^throughput/m, /^p99 of calls/m, /^auto +\d+/m, /^400 +\d+/m]) {
    assertMatch(report, text);
  }
  assertMatch(report, /fixed limit (4[89]|5[0-3]) for exactly this backend/);
});

Deno.test("drawPlot() draws each value at its height", () => {
  const lines = drawPlot("x", [0, 4, 8]).split("\n");
  assertEquals([lines[1], lines[5], lines[8]], ["     8.0 |  *", "         | *", "       0 |*"]);
});
