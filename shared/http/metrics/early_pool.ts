/**
 * A pool whose metrics are taken before what takes them is loaded.
 *
 * @module
 */
import type {
  LeaseRecorder,
  ObservedEvents,
  ObservedPool,
  ObservedStatement,
  StatementRecorder,
} from "../../observability/metrics/mod.ts";
import type { RequestPool } from "../handler/runtime.ts";

/** Takes the metrics of a pool under a name, as `observePool` does. */
export type ObservePool = (pool: ObservedPool, name: string) => Disposable;

/** Maximum number of requests, of times of leases, of statements and of events of a kind that are noted before. */
export const MAX_EARLY = 1_000;

/** The events that are noted. None of them is emitted by each lease. */
const EVENTS = [
  ...(["created", "destroyed", "timedOut", "leaked", "error", "healthCheck", "recovered"] as const),
  ...(["circuitOpened", "circuitClosed", "limitChanged", "memoryLow", "called"] as const),
] satisfies readonly (keyof ObservedEvents)[];

/** A statement or transaction that has ended. */
interface EndedStatement {
  readonly work: ObservedStatement;
  readonly times: Parameters<StatementRecorder["observe"]>[1];
  /** Settles as it did. */
  readonly settle: () => Promise<unknown>;
}

/** Returns the retries of a client pool and of the Postgres connections beside it. */
function sumOfBudgets(pools: readonly (Pick<ObservedPool, "retryBudget"> | undefined)[]): ObservedPool["retryBudget"] {
  const sum = (count: (budget: NonNullable<ObservedPool["retryBudget"]>) => number) =>
    pools.reduce((total, pool) => total + (pool?.retryBudget ? count(pool.retryBudget) : 0), 0);
  return {
    get totalRetries() {
      return sum(({ totalRetries }) => totalRetries);
    },
    getStats: () => ({ refused: sum((budget) => budget.getStats().refused) }),
  };
}

/** Notes what a pool does until {@linkcode EarlyPool.observe}, which passes it on. */
export class EarlyPool {
  readonly #pool: RequestPool<never>;
  readonly #waits: (readonly [ms: number, lane: string])[] = [];
  readonly #uses: number[] = [];
  readonly #events = new Map<string, unknown[]>();
  readonly #statements: EndedStatement[] = [];
  readonly #subscriptions: (Disposable | undefined)[];
  /** Takes the statements that end after it was passed on. */
  #recorder: StatementRecorder | undefined = undefined;
  #isClosed = false;

  constructor(pool: RequestPool<never>) {
    this.#pool = pool;
    this.#subscriptions = [
      pool.record?.({
        waitTime: (ms, lane) => note(this.#waits, [ms, lane]),
        useTime: (ms) => note(this.#uses, ms),
      }),
      ...EVENTS.map((name) => {
        const events: unknown[] = [];
        this.#events.set(name, events);
        return pool.on?.(name as never, (event: unknown) => note(events, event));
      }),
      pool.on?.("closed", () => this.#isClosed = true),
      pool.statements?.observeStatements({ observe: (work, times, run) => this.#run(work, times, run) }),
    ];
  }

  /** Takes the metrics of the pool from now on, and passes on what was noted. */
  observe(observe: ObservePool): void {
    for (const subscription of this.#subscriptions) subscription?.[Symbol.dispose]();
    const pool = this.#pool;
    const { on, record, statements } = pool;
    const postgres = statements as Pick<ObservedPool, "circuit" | "retryBudget"> | undefined;
    const observed: ObservedPool = {
      getStats: () => pool.getStats(),
      config: pool.config,
      get limits() {
        return pool.limits;
      },
      retryBudget: sumOfBudgets([pool, postgres]),
      circuits: pool.circuits,
      get circuit() {
        return postgres?.circuit;
      },
    };
    const metrics = observe(
      Object.assign(
        observed,
        on && {
          on: (name: Parameters<typeof on>[0], listener: (event: never) => void) => {
            for (const event of this.#events.get(name) ?? []) listener(event as never);
            return on.call(pool, name, listener as (event: unknown) => void);
          },
        },
        record && {
          record: (recorder: LeaseRecorder) => {
            for (const [ms, lane] of this.#waits) recorder.waitTime(ms, lane);
            for (const ms of this.#uses) recorder.useTime(ms);
            return record.call(pool, recorder);
          },
        },
        statements && {
          observeStatements: (recorder: StatementRecorder) => {
            this.#recorder = recorder;
            for (const ended of this.#statements) pass(ended, recorder);
            return statements.observeStatements(recorder);
          },
        },
      ),
      pool.component ?? pool.kind ?? "pool",
    );
    if (this.#isClosed) metrics[Symbol.dispose]();
  }

  async #run<T>(work: ObservedStatement, times: EndedStatement["times"], run: () => Promise<T>): Promise<T> {
    let settle: EndedStatement["settle"] = () => Promise.resolve();
    try {
      return await run();
    } catch (error) {
      settle = () => Promise.reject(error);
      throw error;
    } finally {
      const ended = { work, times, settle };
      if (this.#recorder) pass(ended, this.#recorder);
      else note(this.#statements, ended);
    }
  }
}

function note<T>(list: T[], value: T): void {
  if (list.length < MAX_EARLY) list.push(value);
}

/** Passes on a statement that has ended, and whose caller has its outcome. */
function pass({ work, times, settle }: EndedStatement, recorder: StatementRecorder): void {
  recorder.observe(work, times, settle).catch(() => {});
}
