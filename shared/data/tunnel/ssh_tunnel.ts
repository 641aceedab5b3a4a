/**
 * An SSH tunnel to a database.
 *
 * @module
 */
import { abortable } from "@std/async/abortable";
import { EventEmitter } from "node:events";
import type { Duplex } from "node:stream";
import type { Variables } from "../../environment/mod.ts";
import { ConfigError } from "../../pool/mod.ts";
import type { ConnectFunction } from "../../postgres/mod.ts";
import {
  backoffDelayMs,
  classifyFailure,
  type Clock,
  MAX_TIMER_MS,
  observe,
  retry,
  systemClock,
  type Timer,
  toError,
} from "../../resilience/mod.ts";
import { ChannelSlots } from "./channel_slots.ts";
import { parseTunnelConfig, readTunnelEnvironment, type ResolvedTunnelConfig, type TunnelConfig } from "./config.ts";
import { TunnelClosedError, type TunnelLostError, TunnelNotInitializedError } from "./errors.ts";
import { LocalServer } from "./local_server.ts";
import { PrivateKeyFile } from "./private_key.ts";
import { SshSession } from "./ssh_session.ts";

/** The longest delay between two retries, in ms. */
const MAX_RETRY_DELAY_MS = 30_000;

/** The longest pause after a refusal, such as one of the key: servers ban addresses that try again and again. */
const MAX_REFUSED_PAUSE_MS = 60_000;

/** The longest wait of a local connection for a channel that is free, in ms. */
const LOCAL_WAIT_MS = 5_000;

/** Options of {@linkcode SSHTunnel.open}. */
export interface OpenOptions {
  /** Ends the attempt. Default: none. */
  readonly signal?: AbortSignal | undefined;
  /** The longest wait for a channel that is free, in ms. Default: 0, to be rejected at once. */
  readonly waitMs?: number | undefined;
}

/** Counters of a tunnel. */
export interface TunnelStats {
  /** True if the tunnel is connected. */
  readonly connected: boolean;
  /** The channels that are open or opening. */
  readonly channels: number;
  /** The callers that wait for a channel. */
  readonly waiting: number;
  /** The number of times that it connected. */
  readonly connects: number;
  /** The number of times that it broke. */
  readonly losses: number;
}

/** The options of a manager that uses a tunnel. */
export interface TunnelPostgresOptions {
  /** The host of the database, as the SSH server sees it. */
  readonly host: string;
  /** The port of the database. */
  readonly port: number;
  /** Opens a channel for each connection. */
  readonly connect: ConnectFunction;
}

/** The events of a tunnel, with their arguments. */
export interface TunnelEvents {
  /** The tunnel broke, by `code`: `ECONNRESET` or `ETIMEDOUT`. */
  error: [error: TunnelLostError];
  /**
   * An error that no caller receives and that a new connection did not cure: the tunnel could not be opened again, a local
   * connection got no channel, or a listener failed.
   */
  tunnelError: [error: Error];
}

/**
 * An SSH tunnel to a database: one connection to an SSH server, and a channel for each connection to the database. An
 * isolate has one. For administrative and local use; see docs/tunnel.md.
 *
 * Emits `error` when the tunnel breaks, and `tunnelError` for what a new connection did not cure; see
 * {@linkcode TunnelEvents}. Neither needs a listener, and what a listener throws ends nothing. A tunnel that broke is
 * opened again by the next connection that needs it, and by its health check.
 *
 * @example A pool of connections through a tunnel
 * ```ts
 * const tunnel = SSHTunnel.initializeInstance({
 *   sshHost: "bastion.example",
 *   sshUsername: "tunnel",
 *   sshKeyPath: "~/.ssh/id_ed25519",
 *   remoteHost: "db.internal",
 * });
 * await tunnel.connect();
 * const manager = new PostgresConnectionManager({ ...tunnel.postgresOptions(), user: "admin", database: "app" });
 * try {
 *   await manager.query("SELECT 1");
 * } finally {
 *   await cleanup(manager);
 * }
 * ```
 */
export class SSHTunnel extends EventEmitter implements AsyncDisposable {
  static #instance: SSHTunnel | undefined = undefined;

  /** The options in effect, without the passphrase. */
  readonly config: Omit<ResolvedTunnelConfig, "sshKeyPassphrase">;

  readonly #config: ResolvedTunnelConfig;
  readonly #clock: Clock = systemClock;
  readonly #key: PrivateKeyFile;
  readonly #slots: ChannelSlots;
  readonly #connect: ConnectFunction;
  #server: LocalServer | undefined = undefined;
  #session: SshSession | undefined = undefined;
  /** The attempt to connect that is under way. */
  #attempt: Promise<SshSession> | undefined = undefined;
  /** The call of `connect` that is under way, and that of `disconnect`. */
  #connecting: Promise<void> | undefined = undefined;
  #disconnecting: Promise<void> | undefined = undefined;
  /** Aborts when `disconnect` is called. */
  #closing = new AbortController();
  #timer: Timer | undefined = undefined;
  /** The latest failure in a row, and the time before which no connection tries again, in ms of the clock. */
  #failure: { readonly error: unknown; readonly count: number; readonly notBefore: number } | undefined = undefined;
  #connects = 0;
  #losses = 0;

  private constructor(config: ResolvedTunnelConfig) {
    super();
    const { sshKeyPassphrase, ...shown } = config;
    this.config = Object.freeze(shown);
    this.#config = config;
    this.#key = new PrivateKeyFile(config.sshKeyPath, sshKeyPassphrase);
    this.#slots = new ChannelSlots(config.maxPoolSize, this.#clock);
    this.#connect = Object.assign(
      ({ purpose, signal }: Parameters<ConnectFunction>[0]) => this.#open(signal, 0, purpose === "cancel"),
      { check: (signal: AbortSignal) => this.#check(signal) },
    );
  }

  /**
   * Initializes the tunnel of this isolate, and returns it. It is not connected yet. Returns the one that exists if it has
   * the same options.
   *
   * @throws {ConfigError} listing every missing and bad option, or every option that differs from those of the tunnel that
   * exists.
   */
  static initializeInstance(config: TunnelConfig): SSHTunnel {
    const options = parseTunnelConfig(config);
    const existing = SSHTunnel.#instance;
    if (!existing) return SSHTunnel.#instance = new SSHTunnel(options);
    const message = "differs from the existing tunnel: disconnect it and call SSHTunnel.resetInstance() first";
    const issues = (Object.keys(options) as (keyof TunnelConfig)[])
      .filter((path) => JSON.stringify(options[path]) !== JSON.stringify(existing.#config[path]))
      .map((path) => ({ path, message }));
    if (issues.length > 0) throw new ConfigError(issues, "SSH tunnel configuration");
    return existing;
  }

  /**
   * Initializes the tunnel of this isolate from the environment: `SSH_HOST`, `SSH_USER`, `SSH_KEY_PATH`, and the others of
   * docs/tunnel.md.
   *
   * @param variables Environment variables by name. Default: those of this process.
   * @throws {ConfigError} listing every missing and bad variable.
   */
  static initializeFromEnv(variables?: Variables): SSHTunnel {
    return SSHTunnel.initializeInstance(readTunnelEnvironment(variables));
  }

  /**
   * Returns the tunnel of this isolate.
   *
   * @throws {TunnelNotInitializedError} before it was initialized, and after {@linkcode resetInstance}.
   */
  static getInstance(): SSHTunnel {
    if (!SSHTunnel.#instance) throw new TunnelNotInitializedError();
    return SSHTunnel.#instance;
  }

  /** Forgets the tunnel of this isolate, so that another one can be initialized. Call `disconnect` on it first. */
  static resetInstance(): void {
    SSHTunnel.#instance = undefined;
  }

  /** The port of 127.0.0.1 that leads to the database; `undefined` without `localPort`, and while it is not connected. */
  get localPort(): number | undefined {
    return this.#server?.port;
  }

  /**
   * Connects, and listens on `localPort`, if that is set. Does nothing if it is connected. Failures that may pass are
   * retried `maxRetries` times, with delays that double from `retryDelay`.
   *
   * @throws {TunnelConnectError} when the server is not reached, or is not an SSH server.
   * @throws {TunnelKeyError} when the private key cannot be used.
   * @throws {TunnelAuthError} when the server refuses the user or the key.
   * @throws {TunnelHostUnknownError} when the server is not known.
   * @throws {TunnelHostKeyChangedError} when the server has another key than the known one.
   * @throws {TunnelLocalPortError} when it cannot listen on `localPort`.
   * @throws {TunnelClosedError} when `disconnect` is called meanwhile.
   */
  connect(): Promise<void> {
    if (this.#connecting) return this.#connecting;
    if (this.#closing.signal.aborted) this.#closing = new AbortController();
    const connecting = this.#connectWithRetries(this.#closing.signal).finally(() => {
      if (this.#connecting === connecting) this.#connecting = undefined;
    });
    return this.#connecting = connecting;
  }

  /**
   * Disconnects: channels end, and callers that wait for one are rejected. Nothing of the tunnel is left then. It stays
   * disconnected until {@linkcode connect} is called. Idempotent.
   */
  disconnect(): Promise<void> {
    if (!this.#closing.signal.aborted) this.#closing.abort(new TunnelClosedError());
    this.#timer?.cancel();
    this.#timer = undefined;
    const connecting = this.#connecting;
    this.#connecting = undefined;
    // Also while another call is under way: connect() may have been called since.
    const ending = Promise.all([this.#disconnecting, this.#end(connecting)]).then(() => {});
    const disconnecting = ending.finally(() => {
      if (this.#disconnecting === disconnecting) this.#disconnecting = undefined;
    });
    return this.#disconnecting = disconnecting;
  }

  /** Disconnects; see {@linkcode disconnect}. */
  [Symbol.asyncDispose](): Promise<void> {
    return this.disconnect();
  }

  /** Returns whether the tunnel is connected, as far as is known. */
  isConnectedToTunnel(): boolean {
    return this.#session !== undefined;
  }

  /**
   * Opens a channel to the database. Connects first if the tunnel is not connected.
   *
   * @throws {TunnelChannelLimitError} when all channels are in use.
   * @throws {TunnelChannelRefusedError} when the server opens none.
   * @throws {TunnelLostError} when the tunnel breaks.
   * @throws {TunnelClosedError} after `disconnect` was called.
   * @throws what {@linkcode connect} throws.
   */
  open({ signal, waitMs = 0 }: OpenOptions = {}): Promise<Duplex> {
    return this.#open(signal, waitMs, false);
  }

  /** Returns the options with which a `PostgresConnectionManager` connects through the tunnel. */
  postgresOptions(): TunnelPostgresOptions {
    const { remoteHost: host, remotePort: port } = this.#config;
    return { host, port, connect: this.#connect };
  }

  /** Returns the current counters, as an immutable snapshot. */
  getStats(): TunnelStats {
    const { used: channels, waiting } = this.#slots;
    const [connects, losses] = [this.#connects, this.#losses];
    return Object.freeze({ connected: this.isConnectedToTunnel(), channels, waiting, connects, losses });
  }

  /** Calls `listener` at each event of that name. */
  override on<K extends keyof TunnelEvents>(name: K, listener: (...event: TunnelEvents[K]) => unknown): this {
    return super.on(name, listener);
  }

  /** Calls `listener` at the next event of that name, once. */
  override once<K extends keyof TunnelEvents>(name: K, listener: (...event: TunnelEvents[K]) => unknown): this {
    return super.once(name, listener);
  }

  /** Removes a listener. */
  override off<K extends keyof TunnelEvents>(name: K, listener: (...event: TunnelEvents[K]) => unknown): this {
    return super.off(name, listener);
  }

  /**
   * Emits an event. Without a listener, an `error` is not thrown. What a listener throws or rejects with becomes a
   * `tunnelError`.
   */
  override emit(name: string | symbol, ...event: unknown[]): boolean {
    const listeners = this.rawListeners(name);
    for (const listener of listeners) {
      observe(() => listener.apply(this, event), (error) => {
        // A failed listener of tunnelError is not reported to itself.
        if (name !== "tunnelError") this.emit("tunnelError", toError(error));
      });
    }
    return listeners.length > 0;
  }

  async #connectWithRetries(signal: AbortSignal): Promise<void> {
    await this.#disconnecting;
    const { maxRetries: retries, retryDelay: delayMs, localPort } = this.#config;
    await retry(() => this.#connected(), {
      retries,
      delayMs,
      maxDelayMs: Math.max(delayMs, MAX_RETRY_DELAY_MS),
      deadlineMs: MAX_TIMER_MS,
      signal,
      clock: this.#clock,
    });
    if (localPort !== undefined && !this.#server) await this.#listen(localPort, signal);
  }

  async #listen(port: number, closing: AbortSignal): Promise<void> {
    const server = new LocalServer(
      (signal) => this.#open(signal, LOCAL_WAIT_MS, false),
      (error) => this.emit("tunnelError", toError(error)),
    );
    await server.listen(port);
    if (closing.aborted) {
      await server.close();
      throw closing.reason;
    }
    this.#server = server;
  }

  async #end(connecting: Promise<void> | undefined): Promise<void> {
    const [server, session, attempt] = [this.#server, this.#session, this.#attempt];
    this.#server = undefined;
    this.#session = undefined;
    this.#attempt = undefined;
    this.#failure = undefined;
    await Promise.all([server?.close(), session?.end()]);
    // What was under way has been aborted.
    await Promise.allSettled([attempt, connecting]);
    // Last: an attempt may have read it meanwhile.
    this.#key.forget();
  }

  /** Returns the session. The first caller without one connects, and the others wait for it. */
  #connected(): Promise<SshSession> {
    if (this.#session) return Promise.resolve(this.#session);
    if (this.#attempt) return this.#attempt;
    const attempt = this.#start(this.#closing.signal).finally(() => {
      if (this.#attempt === attempt) this.#attempt = undefined;
    });
    return this.#attempt = attempt;
  }

  async #start(signal: AbortSignal): Promise<SshSession> {
    try {
      signal.throwIfAborted();
      const session = await SshSession.connect({
        config: this.#config,
        key: this.#key,
        clock: this.#clock,
        signal,
        onEnd: (reason) => this.#ended(session, reason),
      });
      if (signal.aborted) {
        await session.end();
        throw signal.reason;
      }
      this.#failure = undefined;
      this.#session = session;
      this.#connects++;
      if (!this.#timer) this.#armCheck();
      return session;
    } catch (error) {
      if (!signal.aborted) this.#failed(error);
      throw error;
    }
  }

  #failed(error: unknown): void {
    const { retryDelay } = this.#config;
    const count = (this.#failure?.count ?? 0) + 1;
    const isRefused = classifyFailure(error) === "permanent";
    const capMs = isRefused ? Math.max(retryDelay, MAX_REFUSED_PAUSE_MS) : retryDelay;
    const pauseMs = backoffDelayMs(count - 1, { baseMs: retryDelay, capMs });
    this.#failure = { error, count, notBefore: this.#clock.now() + pauseMs };
  }

  #ended(session: SshSession, reason: TunnelLostError | undefined): void {
    if (this.#session !== session) return;
    this.#session = undefined;
    if (!reason) return;
    this.#losses++;
    this.emit("error", reason);
  }

  /** Returns the session for a connection that needs one: right after a failure, it is rejected with that. */
  async #needed(signal: AbortSignal): Promise<SshSession> {
    if (this.#session) return this.#session;
    const failure = this.#failure;
    if (failure && !this.#attempt && this.#clock.now() < failure.notBefore) throw failure.error;
    return await abortable(this.#connected(), signal);
  }

  async #open(signal: AbortSignal | undefined, waitMs: number, isUrgent: boolean): Promise<Duplex> {
    this.#closing.signal.throwIfAborted();
    const ended = signal ? AbortSignal.any([signal, this.#closing.signal]) : this.#closing.signal;
    const release = await this.#slots.take({ waitMs, isUrgent, signal: ended });
    let session: SshSession;
    try {
      session = await this.#needed(ended);
      ended.throwIfAborted();
    } catch (error) {
      release();
      throw error;
    }
    const { stream, closed } = session.open(signal);
    void closed.then(release);
    return await stream;
  }

  /** Verifies that the tunnel is connected and its server responds. Connects if it does not. */
  async #check(signal: AbortSignal): Promise<void> {
    const session = this.#session;
    if (session) {
      try {
        return await abortable(session.ping(), signal);
      } catch (error) {
        if (signal.aborted) throw error;
      }
    }
    await this.#needed(signal);
  }

  #armCheck(): void {
    const { healthCheckInterval } = this.#config;
    this.#timer?.cancel();
    this.#timer = undefined;
    if (healthCheckInterval === 0) return;
    const { signal } = this.#closing;
    this.#timer = this.#clock.setTimer(() => {
      this.#check(signal).catch((error) => {
        if (!signal.aborted) this.emit("tunnelError", toError(error));
      }).finally(() => {
        if (!signal.aborted) this.#armCheck();
      });
    }, healthCheckInterval);
  }
}
