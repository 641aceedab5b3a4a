/**
 * Writes the events of connections to `pool.connection_logs`.
 *
 * @module
 */
import { AsyncLocalStorage } from "node:async_hooks";
import { StructuredLog } from "../../observability/log/mod.ts";
import {
  PostgresConnectionManager,
  type PostgresOptions,
  type QueryResult,
  readPostgresEnvironment,
  withoutAliases,
} from "../../postgres/mod.ts";
import {
  classifyFailure,
  type Clock,
  codeOf,
  memberOf,
  observe,
  systemClock,
  type Timer,
} from "../../resilience/mod.ts";
import { ConfigError, type ConfigIssue } from "../../pool/mod.ts";
import { ConnectionLogClosedError } from "./errors.ts";
import { LogBuffer } from "./log_buffer.ts";
import { CONNECTION_LOG_STATUSES, type ConnectionLogStatus, subscribe } from "./log_rows.ts";

/** The statement that writes a batch: the login needs the right to execute the function, and no other. */
const WRITE = `select pool.log_connection_event(e.connection_id, e.status, e.error_message, e.metadata)
from jsonb_to_recordset($1::jsonb) as e (connection_id text, status text, error_message text, metadata jsonb)`;

/** The statement that deletes old rows. */
const DELETE = "select pool.delete_connection_logs($1::integer, $2::integer, $3::integer) as deleted";

/** The number of rows that one statement writes or deletes. */
const [BATCH, DELETED_AT_ONCE] = [200, 1_000];

/** The time limit of a statement, in ms. */
const TIMEOUT_MS = 2_000;

/** The time after which old rows are deleted again, in ms; they are also after as many rows as one statement deletes. */
const RETENTION_INTERVAL_MS = 3_600_000;

/** The pause after a failed write, in ms: the shortest, the longest, and that of one that does not pass by itself. */
const [MIN_PAUSE_MS, MAX_PAUSE_MS, PERMANENT_PAUSE_MS] = [2_000, 60_000, 300_000];

/** Runs a function outside of every request: a batch belongs to none. */
const outsideOfRequests = AsyncLocalStorage.snapshot();

/** Options of a {@linkcode ConnectionLog}. */
export interface ConnectionLogOptions {
  /** Options or URL of the log's own connection. Default: those of the environment, as for a manager. */
  readonly connection?: PostgresOptions | string | undefined;
  /** The events that are logged. Default: all. */
  readonly statuses?: readonly ConnectionLogStatus[] | undefined;
  /** The time for which rows are collected, in ms. Default: 2,000. */
  readonly flushIntervalMs?: number | undefined;
  /** The number of rows in a second, on average; of further events, only the number is written. Default: 20. */
  readonly rowsPerSecond?: number | undefined;
  /** The number of rows that wait while they cannot be written; the oldest are dropped and counted. Default: 1,000. */
  readonly maxBufferedRows?: number | undefined;
  /** The age at which rows are deleted, in days; 0 to delete none, also beyond `maxRows`. Default: 7. */
  readonly retentionDays?: number | undefined;
  /** The number of rows in the table beyond which the oldest are deleted; at least 1,000. Default: 100,000. */
  readonly maxRows?: number | undefined;
  /** Called with the first failure of a kind to write. Default: a line `connection_log_failed` in the log. */
  readonly onFailure?: ((error: unknown) => void) | undefined;
  /** Default: the isolate's own time. */
  readonly clock?: Clock | undefined;
}

/**
 * Writes the events of managers to the table `pool.connection_logs`, in batches, on one connection of its own that is open
 * only while it writes. It never fails or delays what is logged: rows are bounded in number and rate, and a database that
 * is away, or has no such table, costs one line in the log. See docs/connection-log.md.
 *
 * @example Log the connections of a manager
 * ```ts
 * const manager = PostgresConnectionManager.fromEnv();
 * const log = new ConnectionLog();
 * log.watch(manager);
 * await manager.query("SELECT 1");
 * await log.close(); // writes what is left
 * ```
 */
export class ConnectionLog implements AsyncDisposable {
  /** The name of this log, with which each `connection_id` begins. */
  readonly id: string = crypto.randomUUID().slice(0, 8);

  readonly #options: ConnectionLogOptions;
  readonly #clock: Clock;
  readonly #buffer: LogBuffer;
  readonly #statuses: readonly ConnectionLogStatus[];
  readonly #subscriptions = new Set<Disposable>();
  readonly #onUnload = () => void this.flush();
  #manager: PostgresConnectionManager | undefined = undefined;
  #timer: Timer | undefined = undefined;
  /** Resolves when the rows that wait have been written, or could not be. */
  #scheduled: PromiseWithResolvers<void> | undefined = undefined;
  #writing: Promise<void> | undefined = undefined;
  #closed = false;
  #failures = 0;
  #notBefore = -Infinity;
  #reported = new Set<string>();
  #deletedAt = -Infinity;
  /** The rows that were written since; not counted after a deletion that failed. */
  #writtenSince = 0;

  /**
   * Creates a log, which connects when it first writes.
   *
   * @throws {ConfigError} listing every bad option.
   */
  constructor(options: ConnectionLogOptions = {}) {
    const { rowsPerSecond = 20, maxBufferedRows = 1_000, clock = systemClock } = options;
    const issues = issuesOf(options);
    if (issues.length > 0) throw new ConfigError(issues, "options of ConnectionLog");
    this.#options = options;
    this.#statuses = [...new Set(options.statuses ?? CONNECTION_LOG_STATUSES)];
    this.#clock = clock;
    this.#buffer = new LogBuffer({ maxRows: maxBufferedRows, perSecond: rowsPerSecond, clock });
    if ("addEventListener" in globalThis) globalThis.addEventListener("beforeunload", this.#onUnload);
  }

  /** The number of rows that wait to be written. */
  get waiting(): number {
    return this.#buffer.length;
  }

  /**
   * Logs the events of a manager, until the subscription is disposed of or {@linkcode close} is called.
   *
   * @throws {ConnectionLogClosedError} after {@linkcode close}.
   */
  watch(manager: Pick<PostgresConnectionManager, "on">): Disposable {
    if (this.#closed) throw new ConnectionLogClosedError();
    const own = subscribe(
      manager,
      this.#statuses,
      this.id,
      (status) => this.#accepts(status),
      (row) => this.#buffer.add(row),
    );
    const subscription = {
      [Symbol.dispose]: () => {
        this.#subscriptions.delete(subscription);
        for (const one of own) one[Symbol.dispose]();
      },
    };
    this.#subscriptions.add(subscription);
    return subscription;
  }

  /** Writes what waits, as far as the database allows. Never rejects. */
  flush(): Promise<void> {
    this.#timer?.cancel();
    this.#timer = undefined;
    return this.#writing ??= outsideOfRequests(() => this.#write()).finally(() => {
      this.#writing = undefined;
      this.#scheduled?.resolve();
      this.#scheduled = undefined;
      if (!this.#buffer.isEmpty && !this.#closed) this.#schedule();
    });
  }

  /** Stops to log, writes what waits, and closes the connection. Never rejects. Idempotent. */
  async close(): Promise<void> {
    this.#closed = true;
    for (const subscription of [...this.#subscriptions]) subscription[Symbol.dispose]();
    if ("removeEventListener" in globalThis) globalThis.removeEventListener("beforeunload", this.#onUnload);
    await this.#writing;
    await this.flush();
    const manager = this.#manager;
    this.#manager = undefined;
    await manager?.shutdown(0);
  }

  /** Closes the log; see {@linkcode close}. */
  [Symbol.asyncDispose](): Promise<void> {
    return this.close();
  }

  #accepts(status: ConnectionLogStatus): boolean {
    if (this.#closed) return false;
    const accepted = this.#buffer.accepts(status);
    if (!this.#timer && !this.#writing) this.#schedule();
    return accepted;
  }

  /** Writes after the interval, or after the pause that a failure requires. A hosted isolate waits for it. */
  #schedule(): void {
    const { flushIntervalMs = 2_000 } = this.#options;
    const delayMs = Math.max(flushIntervalMs, this.#notBefore - this.#clock.now());
    this.#timer?.cancel();
    this.#timer = this.#clock.setTimer(() => void this.flush(), delayMs);
    // A pause is not waited for.
    if (this.#scheduled || delayMs > flushIntervalMs) return;
    this.#scheduled = Promise.withResolvers<void>();
    const { promise } = this.#scheduled;
    outsideOfRequests(() => {
      const runtime = memberOf(globalThis, "EdgeRuntime");
      const waitUntil = memberOf(runtime, "waitUntil");
      if (typeof waitUntil === "function") observe(() => waitUntil.call(runtime, promise), () => {});
    });
  }

  async #write(): Promise<void> {
    if (this.#clock.now() < this.#notBefore && !this.#closed) return;
    try {
      this.#buffer.addSuppressed(this.id);
      // What is logged meanwhile is written after the next interval, or this would not end under load.
      for (let left = this.#buffer.length; left > 0; left -= BATCH) {
        const rows = this.#buffer.next(Math.min(left, BATCH));
        const values = rows.map(({ connectionId, status, errorMessage, metadata }) => ({
          connection_id: connectionId,
          status,
          error_message: errorMessage,
          metadata,
        }));
        await this.#query(WRITE, [JSON.stringify(values, storable)]);
        this.#buffer.written(rows);
        this.#writtenSince += rows.length;
        this.#failures = 0;
        this.#reported.clear();
      }
      await this.#deleteOld();
    } catch (error) {
      this.#failed(error);
    }
  }

  async #deleteOld(): Promise<void> {
    const { retentionDays = 7, maxRows = 100_000 } = this.#options;
    const now = this.#clock.now();
    const isDue = now - this.#deletedAt >= RETENTION_INTERVAL_MS || this.#writtenSince >= DELETED_AT_ONCE;
    if (retentionDays === 0 || !isDue) return;
    this.#deletedAt = now;
    try {
      const { rows } = await this.#query(DELETE, [retentionDays, maxRows, DELETED_AT_ONCE]);
      this.#writtenSince = 0;
      // What is left is deleted after the next rows.
      if (rows[0]?.["deleted"] === DELETED_AT_ONCE) this.#deletedAt = -Infinity;
    } catch (error) {
      // The rows are written: a login that may not delete writes on.
      this.#writtenSince = -Infinity;
      this.#report(error, RETENTION_INTERVAL_MS);
    }
  }

  #query(text: string, values: readonly unknown[]): Promise<QueryResult> {
    const { connection } = this.#options;
    const variables = typeof connection === "string" ? { SUPABASE_DB_URL: connection } : undefined;
    const options = typeof connection === "object" ? connection : readPostgresEnvironment(variables).config;
    this.#manager ??= new PostgresConnectionManager({
      ...withoutAliases(options),
      // One connection, which is closed after each use.
      enabled: false,
      maxConnections: 1,
      minConnections: 0,
      healthChecks: false,
      retries: false,
      applicationName: "connection-log",
    });
    return this.#manager.query(text, values, { timeoutMs: TIMEOUT_MS, acquireTimeoutMs: TIMEOUT_MS });
  }

  #failed(error: unknown): void {
    const isPermanent = classifyFailure(error) === "permanent";
    const pauseMs = isPermanent
      ? PERMANENT_PAUSE_MS
      : Math.min(MIN_PAUSE_MS * 2 ** Math.min(this.#failures, 10), MAX_PAUSE_MS);
    this.#failures++;
    this.#notBefore = this.#clock.now() + pauseMs;
    this.#report(error, pauseMs);
  }

  #report(error: unknown, pauseMs: number): void {
    const kind = codeOf(error) ?? "unknown";
    if (this.#reported.has(kind) || this.#reported.size > 16) return;
    this.#reported.add(kind);
    const report = this.#options.onFailure ?? ((failure: unknown) => {
      new StructuredLog().warn("connection_log_failed", { error: failure, data: { pauseMs } });
    });
    observe(() => report(error), () => {});
  }
}

/** Replaces what `jsonb` rejects in a text: a NUL character, and half of a surrogate pair. One such row would stop all. */
function storable(_name: string, value: unknown): unknown {
  return typeof value === "string" ? value.toWellFormed().replaceAll("\0", "\uFFFD") : value;
}

/** The smallest and the largest value of each number. */
const RANGES = {
  rowsPerSecond: [1, 1_000],
  maxBufferedRows: [1, 100_000],
  flushIntervalMs: [1, 3_600_000],
  retentionDays: [0, 36_500],
  maxRows: [1_000, 1_000_000_000],
} as const satisfies Partial<Record<keyof ConnectionLogOptions, readonly [number, number]>>;

/** Returns the options that are not allowed. */
function issuesOf(options: ConnectionLogOptions): ConfigIssue[] {
  const issues: ConfigIssue[] = Object.entries(RANGES).flatMap(([path, [least, most]]) => {
    const value = options[path as keyof typeof RANGES];
    if (value === undefined || (Number.isInteger(value) && value >= least && value <= most)) return [];
    return [{ path, message: `must be a whole number from ${least} to ${most}` }];
  });
  const { statuses } = options;
  const isKnown = (status: unknown) => CONNECTION_LOG_STATUSES.some((one) => one === status);
  if (statuses !== undefined && !(Array.isArray(statuses) && statuses.every(isKnown))) {
    issues.push({ path: "statuses", message: `must be an array of ${CONNECTION_LOG_STATUSES.join(", ")}` });
  }
  return issues;
}
