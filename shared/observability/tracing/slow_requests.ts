/**
 * The slowest of the recent requests of an isolate.
 *
 * @module
 */
import { type Clock, codeOf, systemClock } from "../../resilience/mod.ts";
import type { SlowRequest } from "../fleet/mod.ts";
import { correlationIdOf } from "../log/mod.ts";

/** A request that has a response, and the parts of its time in ms. */
export interface TimedRequest {
  /** The request. */
  readonly request: Request;
  /** The status of its response. */
  readonly status: number;
  /** The error that its response stands for; `undefined` if it is none. */
  readonly error?: unknown;
  /** The time until its response. */
  readonly durationMs: number;
  /** The time it waited for slots and connections. */
  readonly waitedMs: number;
  /** The time in which its credentials were checked. */
  readonly verifyMs: number;
  /** The time in which its calls and statements were under way. */
  readonly upstreamMs: number;
}

/** Options of {@linkcode SlowRequests}. */
export interface SlowRequestsOptions {
  /** The number of requests that are kept, 100 at most. Default: 10. */
  readonly size?: number | undefined;
  /** The time for which a request is kept, in ms. Default: 300,000. */
  readonly keptMs?: number | undefined;
  /** Default: the isolate's own time. */
  readonly clock?: Clock | undefined;
}

/** The most requests that are kept. */
const MAX_SIZE = 100;

/** Maximum length of an error's code, in characters. */
const MAX_CODE = 64;

/** Standard methods, which alone are shown: a caller chooses the text of any other. */
const METHODS: ReadonlySet<string> = new Set(["GET", "HEAD", "POST", "PUT", "PATCH", "DELETE", "OPTIONS"]);

interface Kept {
  readonly untilMs: number;
  readonly entry: SlowRequest;
}

/**
 * A bounded list of the slowest recent requests, for the report to the fleet. A request that is faster than all of a full
 * list costs one comparison.
 *
 * @example
 * ```ts
 * const slow = new SlowRequests({ size: 5 });
 * slow.add({ request, status: 200, durationMs: 812, waitedMs: 700, verifyMs: 2, upstreamMs: 105 });
 * console.log(slow.list()[0]?.requestId);
 * ```
 */
export class SlowRequests {
  readonly #size: number;
  readonly #keptMs: number;
  readonly #clock: Clock;
  #kept: Kept[] = [];
  /** The duration that a request has to exceed while the list is full, and the end of that, in ms. */
  #leastMs = -Infinity;
  #untilMs = Infinity;

  /** @throws {RangeError} when an option is not a number. */
  constructor({ size = 10, keptMs = 300_000, clock = systemClock }: SlowRequestsOptions = {}) {
    for (const [name, value] of Object.entries({ size, keptMs })) {
      if (typeof value !== "number" || Number.isNaN(value)) {
        throw new RangeError(`${name} must be a number: it is ${value}`);
      }
    }
    this.#size = Math.max(1, Math.min(Math.trunc(size), MAX_SIZE));
    this.#keptMs = keptMs;
    this.#clock = clock;
  }

  /** Adds a request, if it is one of the slowest. */
  add(timed: TimedRequest): void {
    const nowMs = this.#clock.now();
    if (!(timed.durationMs > this.#leastMs) && nowMs < this.#untilMs) return;
    this.#expire(nowMs);
    if (this.#kept.length === this.#size) this.#kept.pop();
    this.#kept.push({ untilMs: nowMs + this.#keptMs, entry: entryOf(timed) });
    this.#kept.sort((one, other) => other.entry.durationMs - one.entry.durationMs);
    this.#note();
  }

  /** Returns the requests, the slowest first. */
  list(): readonly SlowRequest[] {
    this.#expire(this.#clock.now());
    return this.#kept.map(({ entry }) => entry);
  }

  #expire(nowMs: number): void {
    if (nowMs < this.#untilMs) return;
    this.#kept = this.#kept.filter(({ untilMs }) => untilMs > nowMs);
    this.#note();
  }

  #note(): void {
    const isFull = this.#kept.length === this.#size;
    this.#leastMs = isFull ? this.#kept.at(-1)?.entry.durationMs ?? -Infinity : -Infinity;
    this.#untilMs = Math.min(...this.#kept.map(({ untilMs }) => untilMs));
  }
}

function entryOf({ request, status, error, durationMs, waitedMs, verifyMs, upstreamMs }: TimedRequest): SlowRequest {
  const code = codeOf(error)?.slice(0, MAX_CODE);
  return Object.freeze({
    requestId: correlationIdOf(request),
    endedAtMs: Date.now(),
    method: METHODS.has(request.method) ? request.method : "OTHER",
    status,
    ...(code !== undefined && /^[\w.-]+$/.test(code) && { code }),
    durationMs,
    waitMs: waitedMs,
    verifyMs,
    upstreamMs,
  });
}
