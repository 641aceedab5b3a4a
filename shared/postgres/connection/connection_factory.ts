/**
 * Creates, validates, resets and destroys the connections of a pool.
 *
 * @module
 */
import { abortable } from "@std/async/abortable";
import { ConfigError, type CreateContext, type ResourceFactory } from "../../pool/mod.ts";
import { type Clock, timeoutSignal } from "../../resilience/mod.ts";
import type { PostgresConfig, TlsOptions } from "../config/options.ts";
import {
  addressAdvice,
  ConnectionError,
  ConnectTimeoutError,
  isIpv6Only,
  SessionUnsuitableError,
} from "../errors/connection_error.ts";
import { isAtConnectionLimit } from "../errors/pooler_error.ts";
import type { DriverOptions } from "../wire/driver.ts";
import { SchemaCache } from "../wire/schema_cache.ts";
import { BackendConnection } from "./backend_connection.ts";
import { type BackendKey, type CancelRequest, requestCancel } from "./cancel.ts";
import { ConnectDeadline } from "./connect_deadline.ts";
import { type Login, throttleOf } from "./connect_throttle.ts";
import type { PoolerDetector } from "./pooler.ts";
import { isOnTarget, type ServerState, serverStateOf } from "./session.ts";
import type { TargetCircuit } from "./target_circuit.ts";

/** The first version of Deno that sends client certificates: before, `node:tls` accepts them and leaves them out. */
const CLIENT_CERTIFICATES_SINCE = { major: 2, minor: 5 };

/** Returns the version of Deno; `undefined` on Node, whose every version sends client certificates. */
function denoVersion(): string | undefined {
  return typeof Deno === "undefined" ? undefined : Deno.version.deno;
}

/**
 * Rejects a client certificate that the runtime would not send: the server would reject us or accept us unauthenticated.
 *
 * @param runtime The version of Deno; the hosted runtime reports the version it is compatible with.
 * @throws {ConfigError} when `ssl.cert` or `ssl.key` is set and the runtime would leave it out.
 */
export function checkClientCertificate(
  { ssl }: Pick<PostgresConfig, "ssl">,
  runtime: string | undefined = denoVersion(),
): void {
  if (runtime === undefined) return;
  if (typeof ssl === "boolean" || (ssl.cert === undefined && ssl.key === undefined)) return;
  const [, major, minor] = /(?:^|Deno v?)(\d+)\.(\d+)/i.exec(runtime) ?? [];
  const since = CLIENT_CERTIFICATES_SINCE;
  const newer = Number(major) > since.major || (Number(major) === since.major && Number(minor) >= since.minor);
  if (newer) return;
  const message = "requires Deno 2.5 or later, since this runtime sends no client certificate: log in with a password";
  throw new ConfigError([{ path: "ssl.cert", message }], "Postgres configuration");
}

/** Sets `rejectUnauthorized` explicitly: otherwise NODE_TLS_REJECT_UNAUTHORIZED would decide. */
function tlsOptions(own: TlsOptions): TlsOptions {
  return { ...own, rejectUnauthorized: own.rejectUnauthorized ?? true };
}

/**
 * Returns the options of the driver. Sets every option explicitly so that `PG*` variables cannot apply.
 *
 * @throws {ConfigError} when the runtime does not support an option.
 */
export function driverOptions(config: Readonly<PostgresConfig>): DriverOptions {
  checkClientCertificate(config);
  const { host, port, database, user, password, ssl, options, applicationName, keepAlive, keepAliveDelayMs } = config;
  const { maxResultBytes, connect } = config;
  return {
    host,
    port,
    database,
    user,
    // A function: the driver would look an empty password up elsewhere, and never prints a function.
    password: () => password,
    ssl: ssl === false ? false : tlsOptions(ssl === true ? {} : ssl),
    application_name: applicationName,
    options,
    keepAlive,
    keepAliveInitialDelayMillis: keepAliveDelayMs,
    maxResultBytes,
    connect,
  };
}

/** The fraction of `acquireTimeoutMs` within which an attempt ends, so that its error reaches its waiter. */
const ATTEMPT_SHARE = 0.9;

/**
 * An IPv6 address has this many times `connectionTimeoutMs` to be reached: without a route, Linux reports EHOSTUNREACH,
 * which explains more than a timeout, after three seconds (`mcast_solicit` and `retrans_time_ms` of its neighbors).
 */
const IPV6_FACTOR = 1.75;

/** A server that was reached has this many times `connectionTimeoutMs` to accept or refuse; see {@linkcode ConnectDeadline}. */
const LOGIN_FACTOR = 3;

/** The factory of a pool of connections. */
export class ConnectionFactory implements ResourceFactory<BackendConnection> {
  readonly #options: DriverOptions;
  readonly #config: Readonly<PostgresConfig>;
  readonly #pooler: PoolerDetector;
  readonly #clock: Clock;
  readonly #random: (() => number) | undefined;
  /** The connections that are open or closing. */
  readonly #open = new Set<BackendConnection>();
  /** The open connections that are being validated. */
  readonly #validating = new Set<BackendConnection>();
  readonly #cancelRequests = new Set<CancelRequest>();
  #allClosed: (() => void) | undefined = undefined;
  readonly #schema: SchemaCache;
  readonly #circuit: TargetCircuit | undefined;
  /**
   * Called with the error of an attempt that the server or a pooler refused for lack of connections, and its start in ms
   * of the clock. Default: nothing is.
   */
  onRefused: ((error: object, startedAt: number) => void) | undefined = undefined;
  /** Called with the state of the server that a new connection is on, and when it changes. Default: nothing is. */
  onServerState: ((state: ServerState) => void) | undefined = undefined;

  /** @param circuit Watches the connections. Default: none. */
  constructor(
    config: Readonly<PostgresConfig>,
    pooler: PoolerDetector,
    clock: Clock,
    random?: () => number,
    circuit?: TargetCircuit,
  ) {
    this.#circuit = circuit;
    this.#schema = new SchemaCache(config.types);
    this.#options = driverOptions(config);
    this.#config = config;
    this.#pooler = pooler;
    this.#clock = clock;
    this.#random = random;
  }

  /**
   * Connects, when the throttle of the server allows.
   *
   * @throws {ConnectTimeoutError} when the server was not reached within `connectionTimeoutMs`, or had not accepted or
   * refused after three times as long.
   * @throws {PostgresError} when the server refuses, {@linkcode PoolerError} when a pooler does.
   * @throws {ConnectionError} when the server cannot be reached.
   */
  async create({ signal, invalidate }: CreateContext): Promise<BackendConnection> {
    const startedAt = this.#clock.now();
    try {
      return await throttleOf(this.#config, this.#clock, this.#random).connect((login) => {
        const connect = () => this.#connect(login, signal, invalidate);
        return this.#circuit ? this.#circuit.attempt(connect, signal) : connect();
      }, signal);
    } catch (error) {
      if (isAtConnectionLimit(error)) this.onRefused?.(error as object, startedAt);
      throw this.#withAdvice(error);
    }
  }

  async #connect(login: Login, signal: AbortSignal, invalidate: (reason: unknown) => void): Promise<BackendConnection> {
    const { host, port, password, connectionTimeoutMs, acquireTimeoutMs } = this.#config;
    const reachMs = isIpv6Only(host) ? Math.ceil(connectionTimeoutMs * IPV6_FACTOR) : connectionTimeoutMs;
    const totalMs = Math.max(
      reachMs,
      Math.min(connectionTimeoutMs * LOGIN_FACTOR, Math.floor(acquireTimeoutMs * ATTEMPT_SHARE)),
    );
    using deadline = new ConnectDeadline({
      clock: this.#clock,
      signal,
      reachMs,
      totalMs,
      createError: (timeoutMs, reached) => new ConnectTimeoutError(host, port, timeoutMs, reached),
    });
    // A function: the driver would look an empty password up elsewhere, and never prints a function.
    const askPassword = () => {
      login.passwordAsked();
      return password;
    };
    const options = { ...this.#options, password: askPassword };
    let opened: BackendConnection | undefined;
    const listeners = {
      onReached: () => deadline.reached(),
      onServerState: () => opened && this.#noteServerState(opened),
      onDeath: (reason: Error, lost: Error | undefined) => {
        if (opened) this.#forget(opened, lost);
        invalidate(reason);
      },
    };
    const connection = opened = await BackendConnection.open(
      options,
      this.#clock,
      deadline.signal,
      listeners,
      this.#schema,
    );
    if (!connection.death) this.#open.add(connection);
    try {
      this.#noteServerState(connection);
      if (connection.death) throw connection.death;
      const { enabled, prepare, maxPreparedStatements, maxStatementsInFlight } = this.#config;
      if (await abortable(this.#pooler.ownsSession(connection), deadline.signal)) {
        // A connection for one use prepares nothing, and is not shared.
        const keeps = enabled && prepare ? maxPreparedStatements : 0;
        connection.enableSessionState(keeps, enabled ? maxStatementsInFlight : 1);
      }
      // A pooler accepts logins while its database is away: a probe is a connection that answers.
      if (this.#circuit?.isClosed === false) await abortable(connection.run([{ text: "SELECT 1" }]), deadline.signal);
      if (!connection.death) this.#circuit?.add(connection);
      return connection;
    } catch (error) {
      connection.destroy(new Error("The server accepted the connection and ran no statement", { cause: error }));
      throw error;
    }
  }

  /** Passes the state of the server on, and closes the connection if it is not on a server of the wanted kind any more. */
  #noteServerState(connection: BackendConnection): void {
    const state = serverStateOf(connection.settings);
    this.onServerState?.(state);
    const { targetSessionAttrs: wanted } = this.#config;
    // What a statement has set is not the state of the server.
    if (isOnTarget(connection.mayHoldState ? { ...state, readOnly: undefined } : state, wanted)) return;
    connection.retire(new SessionUnsuitableError(wanted));
  }

  async validate(connection: BackendConnection): Promise<boolean> {
    if (connection.death) return false;
    // A statement is in flight, with a deadline of its own.
    if (connection.inFlight > 0) return true;
    this.#validating.add(connection);
    await connection.run([{ text: "SELECT 1" }]);
    this.#validating.delete(connection);
    return connection.status === "idle";
  }

  reset(connection: BackendConnection): void | Promise<void> {
    // What its function runs later would be part of the work of the next holder, and run as that one's caller.
    if (connection.inTransaction) {
      throw new Error("A connection was released before the transaction on it had ended, and is closed");
    }
    if (connection.mayHoldState || connection.status !== "idle") return connection.reset();
  }

  /** Closes a connection, within a multiple of `cancelTimeoutMs` whatever the server does. */
  async destroy(connection: BackendConnection): Promise<void> {
    // The server does not respond: to wait for it would only hold the slot.
    if (this.#validating.has(connection)) return connection.destroy(new Error("Its validation had no response"));
    const { backendKey } = connection;
    if (connection.detachedStatements > 0) await this.#within(connection.drained());
    if (connection.inFlight > 0 && backendKey && connection.ownsSession) {
      // The server would run the statement on until it next looks at the socket.
      const request = this.requestCancel(backendKey);
      await this.#within(request.passedOn);
      request.abort();
      // Then its caller receives the error of a canceled statement, and not only that of a lost connection.
      await this.#within(connection.drained());
    }
    await this.#within(connection.close());
    connection.destroy(new Error("The connection was closed"));
  }

  /** Asks the server to cancel what a backend runs. */
  requestCancel(key: BackendKey): CancelRequest {
    const request = requestCancel(this.#options, key);
    this.#cancelRequests.add(request);
    void request.passedOn.finally(() => this.#cancelRequests.delete(request));
    return request;
  }

  /** Drops what is known about statements, on connections that run none at once and on others before their next one. */
  dropCaches(): void {
    this.#schema.changed();
    for (const connection of this.#open) if (connection.inFlight === 0) connection.statements.clear();
  }

  /**
   * Ends everything that is left: waits for the connections that are closing, for at most `graceMs`, and then destroys
   * them, whatever the server does.
   *
   * @param reason The error of what is in flight then.
   */
  async shutdown(graceMs: number, reason: Error): Promise<void> {
    if (this.#open.size > 0) {
      const closed = new Promise<void>((resolve) => this.#allClosed = resolve);
      using timeout = timeoutSignal(graceMs, this.#clock, () => reason, { keepAlive: true });
      await abortable(closed, timeout.signal).catch(() => {});
    }
    for (const request of [...this.#cancelRequests]) request.abort();
    for (const connection of [...this.#open]) connection.destroy(reason);
  }

  #forget(connection: BackendConnection, lost: Error | undefined): void {
    // An idle connection may have died long ago, for a reason of its own.
    if (lost && !this.#validating.has(connection)) this.#circuit?.lost(connection, lost);
    this.#circuit?.remove(connection);
    this.#open.delete(connection);
    this.#validating.delete(connection);
    if (this.#open.size === 0) this.#allClosed?.();
  }

  /** Waits for a step of closing, for at most `cancelTimeoutMs`. */
  async #within(step: Promise<unknown>): Promise<void> {
    using timeout = timeoutSignal(this.#config.cancelTimeoutMs, this.#clock, () => "no response");
    await abortable(step, timeout.signal).catch(() => {});
  }

  /** Adds advice to a failure that the address explains. */
  #withAdvice(error: unknown): unknown {
    if (!(error instanceof ConnectionError)) return error;
    const advice = addressAdvice(this.#config.host, error.code);
    return advice === "" || error.message.endsWith(advice)
      ? error
      : new ConnectionError(error.code, error.message + advice);
  }
}
