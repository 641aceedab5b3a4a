/**
 * `deno task mutations:outage`: puts each fault of the table alone into a copy of the Postgres side, runs the tests of its
 * circuit breaker and its limit on it, and reports whether one failed. With words as arguments, only the faults that have
 * one of them in their text.
 *
 * @module
 */
import { type Mutation, runMutations } from "../../support/mutations.ts";

const CIRCUIT = "connection/target_circuit.ts";
const LIMIT = "connection/connection_limit.ts";
const POOL = "connection/connection_pool.ts";

/** Each fault that the tests catch. */
export const MUTATIONS: readonly Mutation[] = [
  {
    file: CIRCUIT,
    find: "    if (isAtConnectionLimit(error)) return this.#full(permit);\n",
    replace: "",
    what: "a full server counts as one that is away",
  },
  {
    file: CIRCUIT,
    find: "this.breaker.isClosed || this.#lost ? ",
    replace: "this.breaker.isClosed ? ",
    what: "a full server closes the circuit, although statements lose connections",
  },
  {
    file: CIRCUIT,
    find: 'this.breaker.isClosed || this.#lost ? "ignored" : "succeeded"',
    replace: '"ignored"',
    what: "a server that is full stays away",
  },
  {
    file: CIRCUIT,
    find: "LOCAL_FAILURES.has(codeOf(error))",
    replace: "false",
    what: "a lack of file descriptors counts as a failure of the server",
  },
  {
    file: CIRCUIT,
    find: 'return isAway || classifyFailure(error) !== "permanent" ? "failed" : "ignored";',
    replace: 'return "failed";',
    what: "refused credentials count as a failure",
  },
  {
    file: CIRCUIT,
    find: 'return isAway || classifyFailure(error) !== "permanent" ? "failed" : "ignored";',
    replace: 'return classifyFailure(error) !== "permanent" ? "failed" : "ignored";',
    what: "a failure of TLS does not count",
  },
  {
    file: CIRCUIT,
    find: " && !SESSION_LIMITS.has(codeOf(error));",
    replace: ";",
    what: "a limit of the client's session counts as a failure",
  },
  {
    file: CIRCUIT,
    find: "consecutiveFailures: CONSECUTIVE_FAILURES, ",
    replace: "",
    what: "the circuit opens after ten failures",
  },
  {
    file: CIRCUIT,
    find: "Math.min(this.failingSince ?? Infinity, Math.max(startedAt, this.#respondedAt))",
    replace: "startedAt",
    what: "acquires wait for the latest attempt's connectRetryMs",
  },
  {
    file: CIRCUIT,
    find: "Math.max(startedAt, this.#respondedAt)",
    replace: "startedAt",
    what: "a late failure counts from before the success of another attempt",
  },
  {
    file: CIRCUIT,
    find: "    this.#lost = false;\n",
    replace: "",
    what: "after a loss, a new connection never closes the circuit by itself",
  },
  {
    file: CIRCUIT,
    find: "    this.failingSince = undefined;\n    this.#respondedAt",
    replace: "    this.#respondedAt",
    what: "a success does not end an outage",
  },
  {
    file: CIRCUIT,
    find: "if (!this.#lost) breaker.settle",
    replace: "breaker.settle",
    what: "a connection that only logs in closes the circuit, although statements lose connections",
  },
  {
    file: CIRCUIT,
    find: "    if (probe && !breaker.isClosed) return this.#fail(probe.permit, error);\n",
    replace: "",
    what: "the loss of a probe does not open the circuit again",
  },
  {
    file: CIRCUIT,
    find: "if (breaker.isClosed || connection.death) return;",
    replace: "if (breaker.isClosed) return;",
    what: "a new connection that has died stays a probe",
  },
  {
    file: CIRCUIT,
    find: "return this.#probes.clear();",
    replace: "return;",
    what: "the answers of a probe of an earlier outage close the circuit",
  },
  {
    file: CIRCUIT,
    find: "connection.establishedAt < this.#lostAt || ",
    replace: "",
    what: "connections that break together open the circuit",
  },
  {
    file: CIRCUIT,
    find: "probe && probe.answered < connection.answered",
    replace: "probe",
    what: "a probe that has not answered closes the circuit",
  },
  {
    file: CIRCUIT,
    find: "    if (wasClosed) this.#countAnswers(permit);\n",
    replace: "",
    what: "answers to statements do not count",
  },
  {
    file: CIRCUIT,
    find: "    this.#answers = answers;\n",
    replace: "",
    what: "answers count again at each failure",
  },
  {
    file: CIRCUIT,
    find: "    for (const circuit of this.circuits) circuit.noteOpening();\n",
    replace: "",
    what: "a connection that hangs since the circuit opened counts as one that works",
  },
  {
    file: CIRCUIT,
    find: "    this.#answersOfClosed -= connection.answered;\n",
    replace: "",
    what: "the answers to an attempt to connect count as those to statements",
  },
  {
    file: CIRCUIT,
    find: "if (!isForced && (this.#mayWait() || this.#mayHaveConnection())) return undefined;",
    replace: "if (!isForced && this.#mayHaveConnection()) return undefined;",
    what: "acquires do not wait for connectRetryMs",
  },
  {
    file: CIRCUIT,
    find: "if (!isForced && (this.#mayWait() || this.#mayHaveConnection())) return undefined;",
    replace: "if (!isForced && this.#mayWait()) return undefined;",
    what: "acquires are rejected although a connection is idle",
  },
  {
    file: CIRCUIT,
    find: "if (!isForced && (this.#mayWait() || this.#mayHaveConnection())) return undefined;",
    replace: "if (this.#mayWait() || this.#mayHaveConnection()) return undefined;",
    what: "an operator cannot open the circuit",
  },
  {
    file: CIRCUIT,
    find: "      if (snapshot.forced) throw new CircuitOpenError(breaker.target, undefined);\n",
    replace: "",
    what: "attempts go on although an operator has opened the circuit",
  },
  {
    file: CIRCUIT,
    find: "      if (losesConnections && retryAfterMs > 0 && this.#healthChecks === 0) {",
    replace: "      if (retryAfterMs < 0) {",
    what: "each caller that has waited since before the circuit opened breaks a connection",
  },
  {
    file: CIRCUIT,
    find: '      if (signal.aborted) breaker.settle(permit, "ignored");\n      else ',
    replace: "      ",
    what: "an aborted attempt counts as a failure",
  },
  {
    file: CIRCUIT,
    find: "if (this.#connections.has(connection)) ",
    replace: "",
    what: "a connection that is lost while it is created counts twice",
  },
  {
    file: CIRCUIT,
    find: "[host.toLowerCase(), port, connectId(connect), user, database, ssl, options, rules]",
    replace: "[host.toLowerCase(), port, database, options, rules]",
    what: "pools that connect in different ways share a circuit",
  },
  {
    file: CIRCUIT,
    find: "  if (known && known.circuits.size > 0) return known;\n",
    replace: "  if (known) return known;\n",
    what: "a target is remembered when all its pools have shut down",
  },
  {
    file: CIRCUIT,
    find: "if (!death && (inFlight === 0 || answered > before)) return true;",
    replace: "if (!death) return true;",
    what: "acquires wait for connections that do not answer",
  },
  {
    file: CIRCUIT,
    find: '      const permit = breaker.admit();\n      return () => breaker.settle(permit, "ignored");\n',
    replace: "      breaker.check();\n      return undefined;\n",
    what: "all acquires wait for an attempt that is late",
  },
  {
    file: POOL,
    find: "    if (ended) leased.then(ended, ended);\n",
    replace: "",
    what: "an acquire that has ended keeps others out",
  },
  {
    file: POOL,
    find: "super.tryLease(lane, flow)",
    replace: "super.tryLease(lane)",
    what: "an idle connection is leased for no flow",
  },
  {
    file: POOL,
    find: "    if (this.#refusals.has(error)) return;\n",
    replace: "",
    what: "a refusal counts for each attempt that waited for it",
  },
  {
    file: POOL,
    find: '    if (options?.lane === "probe") ended = this.#circuit?.admitHealthCheck();\n    else if (',
    replace: "    if (",
    what: "health checks are rejected while the circuit is open",
  },
  {
    file: POOL,
    find: "return this.#circuit?.isClosed === false ? undefined : super.tryLease(lane, flow);",
    replace: "return super.tryLease(lane, flow);",
    what: "an idle connection is leased although an operator has opened the circuit",
  },
  {
    file: POOL,
    find: "    this.#limit?.update();\n",
    replace: "",
    what: "a frozen isolate keeps its limit until its timer fires",
  },
  {
    file: POOL,
    find: "    this.#limit?.lift();\n",
    replace: "",
    what: "a resize keeps the limit that it has lifted",
  },
  {
    file: POOL,
    find: "if (this.closed) this.#limit?.stop();",
    replace: "",
    what: "the timer of the limit stays after a shutdown",
  },
  {
    file: POOL,
    find: "if (this.#isDryRun || this.closed) return;",
    replace: "if (this.closed) return;",
    what: "a dry run applies the limit",
  },
  {
    file: POOL,
    find: "minConnections: Math.min(minConnections, max) });",
    replace: "});",
    what: "the minimum is not restored with the limit",
  },
  {
    file: POOL,
    find: "Math.min(reservedConnections + 1, maxConnections)",
    replace: "1",
    what: "a limit below the reserved connections is an error",
  },
  {
    file: LIMIT,
    find: "startedAt <= this.#loweredAt || ",
    replace: "",
    what: "each of the attempts that are refused together lowers the limit",
  },
  {
    file: LIMIT,
    find: "    if (!wantsMore) return;\n    this.#loweredAt",
    replace: "    this.#loweredAt",
    what: "a refused health check lowers the limit",
  },
  {
    file: LIMIT,
    find: "Math.max(1, Math.ceil(open * DECREASE))",
    replace: "Math.ceil(open * DECREASE)",
    what: "the limit is lowered to none",
  },
  {
    file: LIMIT,
    find: "Math.max(1, Math.ceil(open * DECREASE))",
    replace: "Math.max(1, open)",
    what: "a pool keeps all that it has",
  },
  {
    file: LIMIT,
    find: "    if (now - this.#refusedAt >= LIFT_MS) return this.#set(Infinity, now);\n",
    replace: "",
    what: "the limit of a pool that needs no more is never lifted",
  },
  {
    file: LIMIT,
    find: "    if (now < this.#raiseAt) return;\n",
    replace: "",
    what: "the limit is raised with each acquire",
  },
  {
    file: LIMIT,
    find: "    if (!wantsMore) return;\n    const step",
    replace: "    const step",
    what: "the limit is raised while no acquire waits",
  },
  {
    file: LIMIT,
    find: " * 2 ** Math.max(0, ++this.#raises - STEADY_RAISES)",
    replace: "",
    what: "the limit is raised no faster when nothing is refused",
  },
  {
    file: LIMIT,
    find: "    this.#raises = 0;\n",
    replace: "",
    what: "a refusal does not slow the raises down",
  },
  {
    file: LIMIT,
    find: "raised >= maxConnections ? Infinity : raised",
    replace: "raised",
    what: "the limit is raised above maxConnections",
  },
];

if (import.meta.main) {
  const missed = await runMutations({
    mutations: MUTATIONS,
    folder: "shared/postgres/",
    tests: [
      "tests/postgres/circuit_test.ts",
      "tests/postgres/connection_limit_test.ts",
      "tests/postgres/connection_pool_test.ts",
      "tests/postgres/target_circuit_test.ts",
      "tests/postgres/target_circuit_losses_test.ts",
    ],
    copied: ["tests/postgres", "tests/http"],
  });
  Deno.exit(missed === 0 ? 0 : 1);
}
