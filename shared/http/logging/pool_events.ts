/**
 * The switch of the lines about connections, and what writes them, which is loaded by the first request.
 *
 * @module
 */
import type { VariableReader } from "../../environment/mod.ts";
import type { LogLevel, StructuredLog } from "../../observability/log/mod.ts";
import { correlationIdOf } from "../../observability/log/mod.ts";
import type { PoolLog } from "../../observability/tracing/mod.ts";
import type { RequestPool } from "../handler/runtime.ts";

/** The levels, the least severe first. */
export const LOG_LEVELS: readonly LogLevel[] = Object.freeze(["debug", "info", "warn", "error"]);

/** The settings of the log. */
export interface LogSettings {
  /** `POOL_LOG_LEVEL`: the least severe level that is written. Default: `info`, without lines about connections. */
  readonly level?: LogLevel | undefined;
  /** `POOL_LOG_SAMPLE`: the fraction of requests whose leases are logged, from 0 to 1. Default: 1. */
  readonly sample?: number | undefined;
}

/** Reads `POOL_LOG_LEVEL` and `POOL_LOG_SAMPLE`. Issues go to `reader`. */
export function readLogSettings(reader: VariableReader): LogSettings {
  const text = reader.text("POOL_LOG_LEVEL")?.trim().toLowerCase();
  const level = LOG_LEVELS.find((each) => each === text);
  if (text !== undefined && level === undefined) {
    reader.issues.push({ path: "POOL_LOG_LEVEL", message: `must be one of ${LOG_LEVELS.join(", ")}` });
  }
  const fraction = reader.text("POOL_LOG_SAMPLE")?.trim();
  const sample = fraction === undefined ? undefined : fraction === "" ? NaN : Number(fraction);
  if (sample !== undefined && !(sample >= 0 && sample <= 1)) {
    reader.issues.push({ path: "POOL_LOG_SAMPLE", message: "must be a number from 0 to 1" });
  }
  return Object.freeze({ level, sample });
}

/** The pools that are logged. The handlers of an isolate share its pools: the first of them logs. */
const logged = new WeakMap<object, PoolEvents>();

/** The lines about the connections of a handler's pools. */
export class PoolEvents {
  readonly #log: StructuredLog;
  readonly #sample: number | undefined;
  /** Writes the lines, once it is loaded. */
  pools: PoolLog | undefined = undefined;
  #loading: Promise<void> | undefined = undefined;
  /** The pools to log once the lines can be written. */
  readonly #early: RequestPool<never>[] = [];

  constructor(log: StructuredLog, { sample }: LogSettings) {
    this.#log = log;
    this.#sample = sample;
  }

  /** Resolves when lines can be written; `undefined` if they can. */
  get loading(): Promise<void> | undefined {
    return this.pools ? undefined : this.#loading ??= this.#load();
  }

  /** Logs a pool from now on, unless another handler does. */
  watch(pool: RequestPool<never>): void {
    if (logged.has(pool)) return;
    logged.set(pool, this);
    if (this.pools) this.pools.watch(pool);
    else this.#early.push(pool);
    pool.onLeased?.((leaseId, request) => this.pools?.own(pool, leaseId, () => correlationIdOf(request)));
  }

  /** Never rejects: without these lines, requests are served. */
  async #load(): Promise<void> {
    try {
      const { PoolLog } = await import("../../observability/tracing/mod.ts");
      this.pools = new PoolLog(this.#log, { sample: this.#sample });
      for (const pool of this.#early.splice(0)) this.pools.watch(pool);
    } catch (error) {
      this.#log.warn("connection_log_unavailable", { error });
    }
  }

  /** Notes that a request holds a lease. */
  static own(pool: object, leaseId: number, request: Request): void {
    const pools = logged.get(pool)?.pools;
    pools?.own(pool as RequestPool<never>, leaseId, () => correlationIdOf(request));
  }
}
