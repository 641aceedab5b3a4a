/**
 * The circuit breaker of a Postgres target, as one pool of connections uses it.
 *
 * It guards the wait for a connection, and only watches attempts to connect that fail: these are paced already, one at a
 * time with a growing pause (`connect_throttle.ts`, the pool's creation backoff), and are the probes of a circuit that is
 * not closed. A second gate before them would add its pauses to theirs and find a server that returned later. What nothing
 * else bounds are the acquires: without the circuit each waits for an attempt of its own, which a server that does not
 * respond makes last for seconds, and a server that accepts logins and loses connections gets statements without end.
 * There attempts succeed, and have no pauses: it holds them up itself.
 *
 * @module
 */
import type { CircuitBreakerConfig } from "../../pool/mod.ts";
import {
  type CallOutcome,
  CircuitBreaker,
  type CircuitBreakerOptions,
  CircuitOpenError,
  type CircuitPermit,
  type CircuitSnapshot,
  classifyFailure,
  type Clock,
  codeOf,
} from "../../resilience/mod.ts";
import { connectRetryMs } from "../config/config.ts";
import type { PostgresConfig } from "../config/options.ts";
import { ConnectionError, ConnectTimeoutError } from "../errors/connection_error.ts";
import { isAtConnectionLimit } from "../errors/pooler_error.ts";
import { TlsError } from "../errors/tls_error.ts";
import { connectId } from "../wire/server_stream.ts";

/**
 * The failures in a row that open the circuit, unless `circuitBreaker` says otherwise. Attempts to connect run one at a
 * time: five of them say more than five calls that were under way together, and take half a second at least.
 */
const CONSECUTIVE_FAILURES = 5;

/** This program has no file or memory for a socket: that says nothing about the server. */
const LOCAL_FAILURES: ReadonlySet<string | undefined> = new Set(["EMFILE", "ENFILE", "ENOBUFS"]);

/** FATAL errors that a limit of the client's own session causes: `idle_in_transaction_session_timeout`, `transaction_timeout`. */
const SESSION_LIMITS: ReadonlySet<string | undefined> = new Set(["25P03", "25P04"]);

/** Returns what a failed attempt to connect says about the target. */
function outcomeOfAttempt(error: unknown): CallOutcome {
  if (LOCAL_FAILURES.has(codeOf(error))) return "ignored";
  const isAway = error instanceof ConnectionError || error instanceof ConnectTimeoutError || error instanceof TlsError;
  // What lasts are refusals: of credentials, which the throttle of logins bounds, or of the configuration.
  return isAway || classifyFailure(error) !== "permanent" ? "failed" : "ignored";
}

/** Returns whether the loss of a connection under a statement is a failure of the target. */
function isFailureOfTarget(error: unknown): boolean {
  return !isAtConnectionLimit(error) && !SESSION_LIMITS.has(codeOf(error));
}

/** A connection, as its circuit sees it. */
export interface ObservedConnection {
  /** The instant at which it was established, in ms of the clock. */
  readonly establishedAt: number;
  /** The number of requests that the server has answered on it. */
  readonly answered: number;
  /** The number of requests that are not answered. */
  readonly inFlight: number;
  /** The reason why it is unusable, once it is. */
  readonly death: Error | undefined;
}

/** A new connection whose answers to statements decide. */
interface Probe {
  /** The permit that the next answer settles. */
  permit: CircuitPermit;
  /** The answers that have counted, or are those to its attempt to connect. */
  answered: number;
}

/** The part of a target that all pools of the isolate share that connect in the same way. */
class Target {
  readonly breaker: CircuitBreaker;
  /** The circuits of its pools. */
  readonly circuits = new Set<TargetCircuit>();
  /** The instant from which on connecting has failed without a success, in ms of the clock. */
  failingSince: number | undefined = undefined;
  /** The latest failure that counted. */
  lastFailure: unknown = undefined;

  readonly #clock: Clock;
  /** More successes than that between two failures do not change the state: the ratio is not reached. */
  readonly #maxSuccesses: number;
  /** The answers of all pools at the latest failure. */
  #answers = 0;
  /** The instant of the latest loss of a connection that counted, in ms of the clock. */
  #lostAt = -Infinity;
  /** True if the latest failure was the loss of a connection: then one that connects does not show that it is over. */
  #lost = false;
  /** The instant at which the server last accepted a connection, or was full, in ms of the clock. */
  #respondedAt = -Infinity;
  /** The new connections whose statements decide. */
  readonly #probes = new Map<ObservedConnection, Probe>();

  constructor(options: CircuitBreakerOptions & { readonly clock: Clock }) {
    const { clock, failureRatio = 0.5 } = options;
    this.breaker = new CircuitBreaker({ consecutiveFailures: CONSECUTIVE_FAILURES, ...options });
    this.#clock = clock;
    this.#maxSuccesses = Math.ceil(2 / failureRatio);
  }

  /** True if the latest failure was the loss of a connection under a statement. */
  get losesConnections(): boolean {
    return this.#lost;
  }

  /** Notes that an attempt to connect failed. */
  attemptFailed(permit: CircuitPermit, startedAt: number, error: unknown): void {
    if (isAtConnectionLimit(error)) return this.#full(permit);
    const outcome = outcomeOfAttempt(error);
    if (outcome !== "failed") return this.breaker.settle(permit, outcome);
    this.#lost = false;
    // An attempt may fail later than one that began after it has succeeded.
    this.failingSince = Math.min(this.failingSince ?? Infinity, Math.max(startedAt, this.#respondedAt));
    this.#fail(permit, error);
  }

  /** Notes that an attempt to connect succeeded. */
  attemptSucceeded(permit: CircuitPermit, connection: ObservedConnection): void {
    const { breaker } = this;
    this.#responded();
    breaker.settle(permit, "ignored");
    // While the circuit is closed, the answers to statements count instead: a server may accept logins and lose connections.
    if (breaker.isClosed) return;
    // A new connection shows how the target is now: it counts even if the circuit has opened since its attempt began.
    if (!this.#lost) breaker.settle(breaker.admitPaced(), "succeeded");
    // It may have died a moment ago, or more successes are required.
    if (breaker.isClosed || connection.death) return;
    this.#probes.set(connection, { permit: breaker.admitPaced(), answered: connection.answered });
  }

  /** Notes that a connection was lost under a statement. */
  lost(connection: ObservedConnection, error: unknown): void {
    const { breaker } = this;
    const probe = this.#takeProbe(connection);
    if (!isFailureOfTarget(error)) {
      if (probe) breaker.settle(probe.permit, "ignored");
      return;
    }
    if (probe && !breaker.isClosed) return this.#fail(probe.permit, error);
    // Connections that break together are one failure: whether others can be established is not known yet.
    if (connection.establishedAt < this.#lostAt || !breaker.isClosed) return;
    this.#lostAt = this.#clock.now();
    this.#lost = true;
    this.#fail(breaker.admitPaced(), error);
  }

  /** Notes that a connection has closed. */
  closed(connection: ObservedConnection): void {
    this.#count(connection);
    const probe = this.#takeProbe(connection);
    if (probe) this.breaker.settle(probe.permit, "ignored");
  }

  /** Closes the circuit if new connections have answered enough statements since it opened. */
  update(): void {
    for (const connection of this.#probes.keys()) this.#count(connection);
  }

  /** Counts the answers of a new connection as successes. */
  #count(connection: ObservedConnection): void {
    const { breaker } = this;
    const probe = this.#probes.get(connection);
    while (probe && probe.answered < connection.answered) {
      probe.answered++;
      breaker.settle(probe.permit, "succeeded");
      if (breaker.isClosed) return this.#probes.clear();
      probe.permit = breaker.admitPaced();
    }
  }

  /** Notes that the server had no more connections: it responds, and a limit is what helps. */
  #full(permit: CircuitPermit): void {
    this.#responded();
    // While the circuit is closed it says nothing about statements, nor does it if connections were lost under them.
    this.breaker.settle(permit, this.breaker.isClosed || this.#lost ? "ignored" : "succeeded");
  }

  #responded(): void {
    this.failingSince = undefined;
    this.#respondedAt = this.#clock.now();
  }

  #takeProbe(connection: ObservedConnection): Probe | undefined {
    const probe = this.#probes.get(connection);
    this.#probes.delete(connection);
    return probe;
  }

  #fail(permit: CircuitPermit, error: unknown): void {
    const { breaker } = this;
    this.lastFailure = error;
    const wasClosed = breaker.isClosed;
    if (wasClosed) this.#countAnswers(permit);
    breaker.settle(permit, "failed");
    if (!wasClosed || breaker.isClosed) return;
    for (const circuit of this.circuits) circuit.noteOpening();
  }

  /** Counts what the server has answered since the latest failure: only here, so that a statement costs nothing. */
  #countAnswers(permit: CircuitPermit): void {
    let answers = 0;
    for (const circuit of this.circuits) answers += circuit.answers;
    const successes = Math.min(answers - this.#answers, this.#maxSuccesses);
    this.#answers = answers;
    for (let counted = 0; counted < successes; counted++) this.breaker.settle(permit, "succeeded");
  }
}

/** The targets of one clock, by how they are connected to: those of the isolate share the system's. */
const registries = new WeakMap<Clock, Map<string, WeakRef<Target>>>();

/** Returns the target that all pools share that would connect in the same way, and use the same rules. */
function targetOf(config: CircuitConfig, rules: CircuitBreakerConfig, clock: Clock, random: () => number): Target {
  const { host, port, connect, user, database, ssl, options } = config;
  const key = JSON.stringify([host.toLowerCase(), port, connectId(connect), user, database, ssl, options, rules]);
  let targets = registries.get(clock);
  if (!targets) registries.set(clock, targets = new Map());
  const known = targets.get(key)?.deref();
  if (known && known.circuits.size > 0) return known;
  // A program may use any number of addresses.
  for (const [old, target] of targets) if (!target.deref()?.circuits.size) targets.delete(old);
  const target = new Target({ ...rules, target: `${host}:${port}/${database}`, clock, random });
  targets.set(key, new WeakRef(target));
  return target;
}

/** The options that a circuit depends on. */
export type CircuitConfig = Pick<
  PostgresConfig,
  | "host"
  | "port"
  | "connect"
  | "user"
  | "database"
  | "ssl"
  | "options"
  | "circuitBreaker"
  | "connectionTimeoutMs"
  | "connectRetryMs"
  | "retries"
>;

/** The state of a circuit, for statistics. */
export type PostgresCircuitStats = CircuitSnapshot & {
  /** The acquires of this pool that it rejected. */
  readonly rejected: number;
};

/** The circuit of one pool of connections. */
export class TargetCircuit {
  readonly #target: Target;
  readonly #clock: Clock;
  readonly #retryMs: number;
  /** The open connections, with the number of their answers when the circuit last opened. */
  readonly #connections = new Map<ObservedConnection, number>();
  /** The answers on connections that have closed, without those to attempts to connect. */
  #answersOfClosed = 0;
  #rejected = 0;
  /** The health checks that wait for a connection. */
  #healthChecks = 0;

  /** @param rules The rules of the breaker. */
  constructor(config: CircuitConfig, rules: CircuitBreakerConfig, clock: Clock, random: () => number = Math.random) {
    this.#target = targetOf(config, rules, clock, random);
    this.#target.circuits.add(this);
    this.#clock = clock;
    this.#retryMs = connectRetryMs(config);
  }

  /** The breaker, which other pools of the same target share, up to date with the answers of connections. */
  get breaker(): CircuitBreaker {
    this.#target.update();
    return this.#target.breaker;
  }

  /** True while every acquire is admitted. */
  get isClosed(): boolean {
    return this.#target.breaker.isClosed;
  }

  /** The number of requests that the server has answered. */
  get answers(): number {
    let answers = this.#answersOfClosed;
    for (const { answered } of this.#connections.keys()) answers += answered;
    return answers;
  }

  /** Returns the state, for statistics. */
  stats(): PostgresCircuitStats {
    return Object.freeze({ ...this.breaker.snapshot(), rejected: this.#rejected });
  }

  /**
   * Admits an acquire to wait for a connection. While the circuit is not closed, only as many wait for an attempt as
   * there may be probes, and one more each `probeTimeoutMs`: an attempt may take seconds to fail.
   *
   * @returns what to call when its wait has ended; `undefined` for nothing.
   * @throws {CircuitOpenError} when the circuit is open, no connection is open that may still work, and connecting has
   * failed for longer than a waiter would wait.
   */
  admit(): (() => void) | undefined {
    const { breaker, lastFailure } = this.#target;
    this.#target.update();
    if (breaker.isClosed) return undefined;
    try {
      const permit = breaker.admit();
      return () => breaker.settle(permit, "ignored");
    } catch (error) {
      const { retryAfterMs } = error as CircuitOpenError;
      const isForced = retryAfterMs === undefined;
      if (!isForced && (this.#mayWait() || this.#mayHaveConnection())) return undefined;
      this.#rejected++;
      throw new CircuitOpenError(breaker.target, retryAfterMs, isForced ? {} : { cause: lastFailure });
    }
  }

  /**
   * Lets attempts to connect through until the returned function is called: a health check finds out how the server is.
   */
  admitHealthCheck(): () => void {
    this.#healthChecks++;
    return () => void this.#healthChecks--;
  }

  /**
   * Runs an attempt to connect, and notes its outcome.
   *
   * @param signal Aborts the attempt: its failure says nothing then.
   * @throws {CircuitOpenError} when an operator has opened the circuit, or the loss of connections has, until a probe is
   * due.
   * @throws what `connect` throws.
   */
  async attempt<T extends ObservedConnection>(connect: () => Promise<T>, signal: AbortSignal): Promise<T> {
    const { breaker } = this;
    const snapshot = breaker.snapshot();
    if (snapshot.state === "open") {
      if (snapshot.forced) throw new CircuitOpenError(breaker.target, undefined);
      const { retryAfterMs = 0 } = snapshot;
      const { lastFailure, losesConnections } = this.#target;
      // Logins succeed, so that no pause grows: each caller that has waited since before would break a connection.
      if (losesConnections && retryAfterMs > 0 && this.#healthChecks === 0) {
        throw new CircuitOpenError(breaker.target, retryAfterMs, { cause: lastFailure });
      }
    }
    const permit = breaker.admitPaced();
    const startedAt = this.#clock.now();
    try {
      const connection = await connect();
      this.#target.attemptSucceeded(permit, connection);
      return connection;
    } catch (error) {
      if (signal.aborted) breaker.settle(permit, "ignored");
      else this.#target.attemptFailed(permit, startedAt, error);
      throw error;
    }
  }

  /** Notes a new connection. What it has answered to its attempt to connect is not the answer to a statement. */
  add(connection: ObservedConnection): void {
    this.#connections.set(connection, connection.answered);
    this.#answersOfClosed -= connection.answered;
  }

  /** Notes that a connection has closed. */
  remove(connection: ObservedConnection): void {
    if (this.#connections.delete(connection)) this.#answersOfClosed += connection.answered;
    this.#target.closed(connection);
  }

  /**
   * Notes that the server, or the network, ended a connection while a statement was in flight.
   *
   * @param error The server's last error, or the failure of the connection.
   */
  lost(connection: ObservedConnection, error: unknown): void {
    if (this.#connections.has(connection)) this.#target.lost(connection, error);
  }

  /** Notes that the circuit has opened: what is not answered from now on says that a connection may not work. */
  noteOpening(): void {
    for (const connection of this.#connections.keys()) this.#connections.set(connection, connection.answered);
  }

  /** Ends the use of the target by this pool. */
  close(): void {
    this.#target.circuits.delete(this);
  }

  /** Returns whether connecting has not failed for longer than a waiter waits for it: the next attempt may succeed. */
  #mayWait(): boolean {
    const { failingSince } = this.#target;
    return failingSince !== undefined && this.#clock.now() - failingSince < this.#retryMs;
  }

  /** Returns whether a connection is open that has answered since the circuit opened, or was not asked. */
  #mayHaveConnection(): boolean {
    for (const [{ death, inFlight, answered }, before] of this.#connections) {
      if (!death && (inFlight === 0 || answered > before)) return true;
    }
    return false;
  }
}
