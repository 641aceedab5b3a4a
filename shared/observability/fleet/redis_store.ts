/**
 * The store of the fleet in Redis.
 *
 * @module
 */
import { countOf, fieldsOf, messageOf } from "../../resilience/mod.ts";
import type { AlertChange, AppliedChange } from "../alerts/types.ts";
import { FleetStoreError } from "./errors.ts";
import { nameOf, parseEvaluation, parseState } from "./parse.ts";
import { CHANGE, READ, REMOVE, REPORT } from "./redis_scripts.ts";
import {
  DROP_MS,
  FLEET_VERSION,
  type FleetDetail,
  type FleetReply,
  type FleetReport,
  type FleetState,
  type FleetStore,
} from "./types.ts";

/** A connection to Redis; that of `shared/cache` is one. Its promises settle within a deadline of its own. */
export interface FleetRedis {
  /** Sends commands in one write, and returns a reply for each: what Redis replied, or an error. */
  send(commands: readonly (readonly [name: string, ...args: (string | number)[]])[]): Promise<unknown[]>;
}

/** Options for {@linkcode RedisFleetStore}. */
export interface RedisFleetStoreOptions {
  /** The connection. */
  readonly redis: FleetRedis;
  /** The project, such as the host of its URL: projects that share a Redis have a fleet each. */
  readonly project: string;
  /** The time after which an isolate that does not report counts no more, in ms, 1,000 to 30,000. Default: 28,000. */
  readonly dropMs?: number | undefined;
}

/** Maximum length of a stored report, in characters. */
const MAX_REPORT = 65_536;

/** The largest number of a gauge or count: sums of it are still numbers. */
const MAX_NUMBER = 1e15;

/** The total length of reports that are returned in full, in characters. Beyond that, metrics and slow requests are left out. */
const MAX_FULL = 2 * 2 ** 20;

function parseJson(text: unknown): unknown {
  try {
    return typeof text === "string" ? JSON.parse(text) : undefined;
  } catch {
    return undefined;
  }
}

function parseAll(texts: unknown): unknown[] {
  return Array.isArray(texts) ? texts.map(parseJson).filter((value) => value !== undefined) : [];
}

/** Returns a reply that is a list with an instant at `at`; throws for any other. */
function listOf(reply: unknown, at: number): readonly unknown[] {
  if (Array.isArray(reply) && Number.isFinite(reply[at])) return reply;
  throw new FleetStoreError("unavailable", "Cannot use the fleet: the reply of Redis is not one of its store");
}

/** Returns the samples, oldest first: Redis has them in no order. */
function samplesOf(texts: unknown): unknown[] {
  return parseAll(texts).sort((a, b) => Number(fieldsOf(a).atMs) - Number(fieldsOf(b).atMs));
}

/**
 * The store of the fleet in Redis: for projects that have one, so that reports do not load the database.
 *
 * @example
 * ```ts
 * const store = new RedisFleetStore({ redis: new RedisConnection({ url }), project: "<ref>.supabase.co" });
 * ```
 */
export class RedisFleetStore implements FleetStore {
  /** The kind of the store, for operators. */
  readonly kind = "redis";
  readonly #redis: FleetRedis;
  readonly #prefix: string;
  readonly #dropMs: number;

  constructor({ redis, project, dropMs = DROP_MS }: RedisFleetStoreOptions) {
    this.#redis = redis;
    // One slot of a cluster: a script uses them all.
    this.#prefix = `pool:fleet:{${nameOf(project)}}:`;
    this.#dropMs = Math.min(Math.max(dropMs, 1_000), 30_000);
  }

  /**
   * Stores the report of an isolate in place of its former one.
   *
   * @throws {FleetStoreError} if it was not stored.
   */
  async report(report: FleetReport): Promise<FleetReply> {
    const text = JSON.stringify(report);
    if (text.length > MAX_REPORT) {
      throw new FleetStoreError("refused", "Cannot report to the fleet: the report is too long");
    }
    const { stats, interval } = report;
    const gauges = [stats.waitingForConnection, stats.activeConnections, stats.limit];
    const numbers = [...gauges, interval.maxWaitMs, interval.calls, interval.errors];
    const keys = ["reports", "seen", "gauges", "samples", "index", "turn", "alerts"];
    const reply = await this.#eval(REPORT, keys, [
      nameOf(report.isolate),
      nameOf(report.function),
      ...numbers.map((number) => Math.min(countOf(number), MAX_NUMBER)),
      text,
    ]);
    const [refused, nowMs, samples, alerts] = listOf(reply, 1);
    if (refused === "full") {
      throw new FleetStoreError("full", "Cannot report to the fleet: 500 isolates report already");
    }
    const evaluation = samples === undefined
      ? undefined
      : parseEvaluation({ nowMs, samples: samplesOf(samples), alerts: parseAll(alerts) });
    return { version: FLEET_VERSION, ...(evaluation ? { evaluation } : {}) };
  }

  /** Removes an isolate that ends. */
  async remove(isolate: string): Promise<void> {
    await this.#eval(REMOVE, ["reports", "seen", "gauges"], [nameOf(isolate)]);
  }

  /** Reads the fleet. */
  async read(detail: FleetDetail): Promise<FleetState> {
    const reply = await this.#eval(READ, ["reports", "seen", "samples", "alerts"], [this.#dropMs, detail]);
    const [nowMs, live, samples, alerts] = listOf(reply, 0);
    const isolates: unknown[] = [];
    let length = 0;
    for (let at = 0; Array.isArray(live) && at < live.length; at += 2) {
      const { metrics, slowRequests, ...rest } = fieldsOf(parseJson(live[at + 1]));
      length += String(live[at + 1]).length;
      const isShown = detail === "full" && length <= MAX_FULL;
      const omitted = detail === "full" && !isShown ? { omitted: ["metrics", "slowRequests"] } : {};
      isolates.push({ ...rest, ...(isShown ? { metrics, slowRequests } : omitted), ageMs: Number(live[at]) });
    }
    const lists = detail === "full" ? { samples: samplesOf(samples), alerts: parseAll(alerts) } : {};
    return parseState({ version: FLEET_VERSION, nowMs, isolates, ...lists }, detail);
  }

  /** Changes alerts, each if its state is still the one that was evaluated. Returns the changes that were applied. */
  async changeAlerts(changes: readonly AlertChange[]): Promise<readonly AppliedChange[]> {
    const reply = await this.#eval(CHANGE, ["alerts"], changes.map((change) => JSON.stringify(change)));
    const instants = listOf(reply, 0);
    return changes.flatMap((change, n) => {
      const sinceMs = Number(instants[n]);
      return sinceMs > 0 ? [{ ...change, sinceMs }] : [];
    });
  }

  async #eval(script: string, keys: readonly string[], args: readonly (string | number)[]): Promise<unknown> {
    let reply: unknown;
    try {
      [reply] = await this.#redis.send([
        ["EVAL", script, keys.length, ...keys.map((key) => this.#prefix + key), ...args],
      ]);
    } catch (error) {
      throw new FleetStoreError("unavailable", `Cannot reach the store of the fleet: ${messageOf(error)}`, {
        cause: error,
      });
    }
    if (!(reply instanceof Error)) return reply;
    throw new FleetStoreError("unavailable", `Cannot use the fleet: Redis replied ${reply.message.slice(0, 100)}`);
  }
}
