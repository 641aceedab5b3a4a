/**
 * Faults of the dashboard and of load, each of which a test must catch.
 *
 * @module
 */
import type { Mutation } from "../../../support/mutations.ts";

/** The faults, in files of `local/`. */
export const MUTATIONS: readonly Mutation[] = [
  {
    file: "dashboard/server.ts",
    find: "if (!isOwnHost(host, port) || !url || !isOwnHost(url.host, port)) {",
    replace: "if (!url) {",
    what: "a page whose name resolves to this machine reads the fleet",
  },
  {
    file: "dashboard/server.ts",
    find: "(origin !== null && origin !== `http://${host}`) ||",
    replace: "",
    what: "a page of another origin reads the fleet",
  },
  {
    file: "dashboard/server.ts",
    find: '(!isNavigation && site !== "same-origin" && site !== "none")',
    replace: "false",
    what: "a page of another site loads the files",
  },
  {
    file: "dashboard/server.ts",
    find: 'response.headers.delete("access-control-allow-origin");',
    replace: "",
    what: "other origins read why a request was refused",
  },
  {
    file: "dashboard/server.ts",
    find: "script-src 'self'; ",
    replace: "script-src 'self' 'unsafe-inline'; ",
    what: "the page may run inline code",
  },
  {
    file: "dashboard/server.ts",
    find: "    ended.abort();\n    await server.finished;",
    replace: "    await server.shutdown();",
    what: "a request in flight keeps the dashboard from stopping",
  },
  {
    file: "dashboard/upstream.ts",
    find: 'redirect: "manual",',
    replace: 'redirect: "follow",',
    what: "the key goes to an address that the project redirects to",
  },
  {
    file: "dashboard/upstream.ts",
    find: "if (bytes > MAX_BYTES) throw",
    replace: "if (bytes < 0) throw",
    what: "a response of any length is read",
  },
  {
    file: "dashboard/upstream.ts",
    find: '      part("The health of the project", "pool", (text) => healthOf(jsonOf(text)), [503]),',
    replace: '      part("The health of the project", "pool", (text) => healthOf(jsonOf(text))),',
    what: "an unhealthy pool is not shown",
  },
  {
    file: "dashboard/upstream.ts",
    find: "untilMs: startedAt + this.#metricsIntervalMs",
    replace: "untilMs: startedAt",
    what: "long metrics are read with every poll",
  },
  {
    file: "dashboard/feed.ts",
    find: "await (this.#polling ??= this.#poll())",
    replace: "await this.#poll()",
    what: "each open page polls the project",
  },
  {
    file: "dashboard/feed.ts",
    find: "if (poll.snapshot?.isKnown) this",
    replace: "if (poll.snapshot) this",
    what: "a store that cannot be read counts as a fleet at rest",
  },
  {
    file: "dashboard/feed.ts",
    find: 'isDown ? "down" : lacks.length > 0',
    replace: 'isDown ? "down" : lacks.length < 0',
    what: "a part that is missing goes unmentioned",
  },
  {
    file: "dashboard/history.ts",
    find: "acquired < newest.acquired || errors < newest.errors || ",
    replace: "",
    what: "a rate is negative after an isolate has ended",
  },
  {
    file: "dashboard/history.ts",
    find: " || newest.atMs > atMs",
    replace: "",
    what: "a clock that is set back ends the rates",
  },
  {
    file: "dashboard/history.ts",
    find: "point.atMs > atMs - WINDOW_MS && ",
    replace: "",
    what: "the history grows without end",
  },
  {
    file: "dashboard/history.ts",
    find: "const RATE_MS = 12_000;",
    replace: "const RATE_MS = 1_000;",
    what: "reports every 5 s are spikes",
  },
  {
    file: "dashboard/snapshot.ts",
    find: "return found.slice(0, most)",
    replace: "return found",
    what: "a table has any number of rows",
  },
  {
    file: "dashboard/snapshot.ts",
    find: "const text = printable(value.slice(0, most));",
    replace: "const text = value.slice(0, most);",
    what: "a name holds characters that reverse a line",
  },
  {
    file: "dashboard/snapshot.ts",
    find: "if (fields.version !== VERSION) missing",
    replace: "if (fields.version === undefined) missing",
    what: "a newer fleet is shown as if it were understood",
  },
  {
    file: "dashboard/secret_key.ts",
    find: "    terminal.setRaw(false);\n",
    replace: "",
    what: "the terminal shows nothing that is typed afterwards",
  },
  {
    file: "dashboard/secret_key.ts",
    find: 'if (key.startsWith("sb_publishable_")) throw',
    replace: 'if (key === "sb_publishable_") throw',
    what: "a publishable key is sent as a secret one",
  },
  {
    file: "dashboard/prometheus.ts",
    find: 'if (!rest.startsWith("}")) return undefined;',
    replace: "",
    what: "a broken line of metrics is a sample",
  },
  {
    file: "dashboard/page/charts.js",
    find: "if (point.atMs - lastMs > GAP_MS) isDrawing = false;",
    replace: "",
    what: "a line spans the time for which no page was open",
  },
  {
    file: "dashboard/page/format.js",
    find: "const rest = Math.max(0, durationMs - known);",
    replace: "const rest = durationMs - known;",
    what: "calls at the same time make the rest of a request negative",
  },
  {
    file: "load/run.ts",
    find: "else result.add(outcome, performance.now() - turnMs);",
    replace: "else result.add(outcome, performance.now() - startMs);",
    what: "a time counts from the start of the load",
  },
  {
    file: "load/run.ts",
    find: "result.unsent++;",
    replace: "",
    what: "requests that could not be sent go unmentioned",
  },
  {
    file: "load/run.ts",
    find: 'const known = this.refusals.has(key) || this.refusals.size < 50 ? key : "other codes";',
    replace: "const known = key;",
    what: "a function that invents codes fills the memory",
  },
  {
    file: "load/run.ts",
    find: "if (signal.aborted) result.unfinished++;\n    else ",
    replace: "",
    what: "requests that Ctrl-C aborted count as failed",
  },
  {
    file: "load/summary.ts",
    find: "[printable(code), String(count)]",
    replace: "[code, String(count)]",
    what: "a code moves the cursor of the terminal",
  },
  {
    file: "load/summary.ts",
    find: ".slice(0, Math.max(0, width - 1))",
    replace: "",
    what: "progress wraps in a narrow terminal",
  },
  {
    file: "load/target.ts",
    find: "clearTimeout(timer);",
    replace: "",
    what: "each request leaves a timer behind",
  },
  {
    file: "load/target.ts",
    find: 'if (response.ok && typeof id === "string") {',
    replace: "if (false) {",
    what: "a user who must confirm an address stays behind",
  },
  {
    file: "load/target.ts",
    find: 'kindOfKey(key.trim()) === "admin" || ',
    replace: "",
    what: "load runs with a key that row-level security does not apply to",
  },
  {
    file: "load/target.ts",
    find: "      if (!demo) return;\n",
    replace: "      return;\n",
    what: "the demo user stays behind",
  },
  {
    file: "load/arguments.ts",
    find: 'if (url !== undefined && !flags.has("--yes") && !flags.has("--help")) {',
    replace: "if (false) {",
    what: "load on a hosted project needs no confirmation",
  },
  {
    file: "load/arguments.ts",
    find: "(pathname === prefix || pathname.startsWith(`${prefix}/`)) &&",
    replace: "",
    what: "a path leaves the function",
  },
  {
    file: "load/histogram.ts",
    find: "return Math.min(LEAST_MS * RATIO ** index, this.#maxMs);",
    replace: "return LEAST_MS * RATIO ** index;",
    what: "a percentile exceeds the longest time",
  },
  {
    file: "cli/flags.ts",
    find: "KEY_OPTION.test(argument) || KEY_VALUE.test(argument)",
    replace: "KEY_OPTION.test(argument)",
    what: "a key in an argument is accepted",
  },
  {
    file: "cli/flags.ts",
    find: 'if (protocol === "http:" && !isLoopback(hostname)) {',
    replace: "if (false) {",
    what: "a key crosses the network in plain text",
  },
];
