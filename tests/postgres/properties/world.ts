/**
 * Runs programs on a real server, and compares what they report with what the tables hold.
 *
 * @module
 */
import { assert, assertEquals, AssertionError } from "@std/assert";
import {
  CommitOutcomeUnknownError,
  ConnectionLostError,
  type PostgresConnectionManager,
  type PostgresPool,
  type Transaction,
} from "../../../shared/postgres/mod.ts";
import { claimsOf, type TestDatabase } from "../support.ts";
import { mustCommit, type Program, type Step } from "./program.ts";

const ALICE = "7a1d6f3e-0c4b-4e52-9f0a-1b6b1c2d3e04";

/** The number of connections; fewer than programs at once. */
export const CONNECTIONS = 2;

const SCHEMA = [
  "create table done (id int, xid xid8 default pg_current_xact_id(), role text default current_user)",
  "create table parent (id int primary key)",
  "create table late (parent int references parent deferrable initially deferred)",
  "grant all on all tables in schema public to public",
];

const INSERT = "insert into done (id) values ($1)";
const DEFERRED = "insert into late values (1)";
const FAIL = "select 1 / 0";
const SLOW = "select pg_sleep(0.03)";

/** The steps that a list can have. */
const IN_LISTS: ReadonlySet<Step["kind"]> = new Set(["insert", "fail", "deferred", "slow", "badValue"]);

/** A transaction, or a nested one, as the model sees it. */
interface Level {
  /** The rows that its statements inserted, by the outcome that each statement reported. */
  readonly rows: { readonly id: number; kept: boolean | undefined }[];
  readonly nested: Level[];
  /** Undefined while it is open. */
  end: "committed" | "rolledBack" | "unknown" | undefined;
}

/** A failure that a program throws on purpose. */
class Thrown extends Error {}

/** Runs programs on one database. */
export class World {
  readonly tally: Record<string, number> = {};
  readonly #admin: PostgresConnectionManager;
  readonly #manager: PostgresConnectionManager;
  /** Statements and nested transactions that are not awaited. */
  readonly #loose: Promise<unknown>[] = [];
  #ids = 0;
  /** True if a backend was terminated during the present programs: it may have been the next holder's. */
  killed = false;

  private constructor(database: TestDatabase) {
    this.#admin = database.manager({ maxConnections: 2 });
    const limits = { maxConnections: CONNECTIONS, maxRetries: 0, connectRetryMs: 5_000 };
    this.#manager = database.manager(limits, "authenticator");
  }

  static async create(database: TestDatabase): Promise<World> {
    const world = new World(database);
    for (const text of SCHEMA) await world.#admin.query(text);
    return world;
  }

  /** Runs programs at once, and checks what they left. */
  async run(programs: readonly Program[]): Promise<void> {
    this.killed = false;
    const ends = await Promise.all(programs.map((program) => this.#run(program)));
    await Promise.allSettled(this.#loose.splice(0));
    for (const check of ends) await check();
    await this.#checkConnections();
  }

  /** Runs a program, and returns the check of its outcome, for when all is quiet. */
  async #run(program: Program): Promise<() => Promise<void>> {
    this.#count(program.via);
    const top: Level = { rows: [], nested: [], end: undefined };
    const controller = new AbortController();
    const run = new Run(controller);
    const { abortAfterMs, asCaller } = program;
    const timer = abortAfterMs === undefined ? undefined : setTimeout(() => run.abort(), abortAfterMs);
    const pool: PostgresPool = asCaller ? this.#manager.as(claimsOf(ALICE)) : this.#manager;
    let failure: { readonly error: unknown } | undefined;
    try {
      await this.#start(program, pool, top, run);
      top.end ??= "committed";
    } catch (error) {
      failure = { error };
      top.end ??= isUnknown(error) ? "unknown" : "rolledBack";
    }
    clearTimeout(timer);
    this.#count(top.end);
    return async () => await this.#check(program, top, run, failure);
  }

  async #start(program: Program, pool: PostgresPool, top: Level, run: Run): Promise<void> {
    const { via, steps, timeoutMs, throws } = program;
    const options = { signal: run.controller.signal, timeoutMs, acquireTimeoutMs: 20_000 };
    if (via === "list" || via === "query") {
      const sent = via === "list" ? steps : steps.filter(({ kind }) => IN_LISTS.has(kind)).slice(0, 1);
      const list = sent.flatMap((step) => this.#statementOf(step, top));
      if (via === "list") await pool.transaction(list, options);
      else if (list[0]) await pool.query(list[0].query, list[0].values, options);
      for (const row of top.rows) row.kept = true;
      return;
    }
    const work = async (tx: Transaction) => {
      run.transaction = tx;
      await this.steps(tx, steps, top, run);
      if (throws) throw new Thrown();
    };
    if (via === "pool") return await pool.transaction(work, options);
    await using connection = await pool.lease({ acquireTimeoutMs: 20_000 });
    await connection.transaction(work, options);
  }

  /** Returns a step as a statement of a list. */
  #statementOf(step: Step, top: Level): { query: string; values?: unknown[] }[] {
    if (step.kind === "insert") return [{ query: INSERT, values: [this.#row(top).id] }];
    if (step.kind === "fail") return [{ query: FAIL }];
    if (step.kind === "deferred") return [{ query: DEFERRED }];
    if (step.kind === "slow") return [{ query: SLOW }];
    if (step.kind === "badValue") return [{ query: "select $1::jsonb", values: [circular()] }];
    return [];
  }

  #row(level: Level): Level["rows"][number] {
    const row = { id: ++this.#ids, kept: undefined };
    level.rows.push(row);
    return row;
  }

  /** Runs the steps of one level. */
  async steps(tx: Transaction, steps: readonly Step[], level: Level, run: Run): Promise<void> {
    for (const step of steps) {
      this.#count(step.kind);
      await this.#step(tx, step, level, run);
    }
  }

  async #step(tx: Transaction, step: Step, level: Level, run: Run): Promise<void> {
    switch (step.kind) {
      case "insert": {
        const row = this.#row(level);
        const inserted = tx.query(INSERT, [row.id]).then(() => void (row.kept = true));
        return await this.#settle(inserted, step);
      }
      case "fail":
        return await this.#settle(tx.query(FAIL), step);
      case "badValue":
        return await this.#settle(tx.query("select $1::jsonb", [circular()]), { wait: true, caught: step.caught });
      case "control":
        return await this.#settle(tx.query(step.text), { wait: true, caught: true });
      case "deferred":
        return void await tx.query(DEFERRED);
      case "slow":
        return await this.#settle(tx.query(SLOW, [], { timeoutMs: step.timeoutMs }), step);
      case "abort":
        return run.abort();
      case "kill":
        return await this.#kill(tx);
      case "pause":
        return await new Promise((resolve) => setTimeout(resolve, step.ms));
      case "commit":
      case "rollback":
        return await this.#endByHand(tx, step.kind, level);
      case "nested":
        return await this.#nested(tx, step, level, run);
    }
  }

  /** Waits for a statement, unless the program does not; `caught` is false where its error leaves the function. */
  async #settle(statement: Promise<unknown>, { wait, caught = false }: { wait: boolean; caught?: boolean }) {
    if (!wait) return void this.#loose.push(statement.catch(() => {}));
    if (caught) await statement.catch(() => {});
    else await statement;
  }

  async #kill(tx: Transaction): Promise<void> {
    const { rows } = await tx.query<{ pid: number }>("select pg_backend_pid() as pid");
    this.killed = true;
    await this.#admin.query("select pg_terminate_backend($1, 5000)", [rows[0]?.pid]);
  }

  async #endByHand(tx: Transaction, how: "commit" | "rollback", level: Level): Promise<void> {
    const before = level.end;
    try {
      await tx[how]();
      level.end ??= how === "commit" ? "committed" : "rolledBack";
    } catch (error) {
      // A second end changes nothing.
      if (before === undefined && tx.ended) level.end ??= isUnknown(error) ? "unknown" : "rolledBack";
      throw error;
    }
  }

  async #nested(tx: Transaction, step: Step & { kind: "nested" }, level: Level, run: Run): Promise<void> {
    const inner: Level = { rows: [], nested: [], end: undefined };
    level.nested.push(inner);
    const nested = tx.transaction(async (innerTx) => {
      await this.steps(innerTx, step.steps, inner, run);
      if (step.throws) throw new Thrown();
    }).then(() => void (inner.end ??= "committed"), (error: unknown) => {
      inner.end ??= "rolledBack";
      throw error;
    });
    await this.#settle(nested, step);
  }

  /** Checks that the outcome that a program reported is that of its rows, and that nothing ran outside. */
  async #check(program: Program, top: Level, run: Run, failure: { error: unknown } | undefined): Promise<void> {
    // What is used after its end runs nowhere.
    if (run.transaction) await run.transaction.query(INSERT, [-1]).then(() => assert(false, "ran late"), () => {});
    const ids = rowsOf(top).map(({ id }) => id);
    const { rows } = await this.#admin.query<{ id: number; xid: string; role: string }>(
      "select id, xid::text, role from done where id = any ($1) or id = -1 order by id",
      [ids],
    );
    const found = rows.map(({ id }) => id);
    const kept = rowsOf(top, true).map(({ id }) => id).sort((a, b) => a - b);
    const what = `${top.end}, ${failure ? String(failure.error) : "returned"}`;
    if (top.end === "committed") assertEquals(found, kept, what);
    else if (top.end === "rolledBack" || found.length > 0) assertEquals(found, top.end === "unknown" ? kept : [], what);
    if (top.end === "unknown") assert(this.killed || failure?.error instanceof ConnectionLostError, what);
    if (run.abortedOpen) assert(failure !== undefined && top.end !== "committed", `committed after an abort: ${what}`);
    if (mustCommit(program)) assertEquals(top.end, "committed", `a failure inside a nested one reached it: ${what}`);
    assert(new Set(rows.map(({ xid }) => xid)).size <= 1, "ran in several transactions");
    const role = program.asCaller ? "authenticated" : "authenticator";
    assertEquals(rows.filter((row) => row.role !== role), [], "ran as another role");
  }

  /** Checks that no slot is lost, and that each connection is clean. */
  async #checkConnections(attempt = 0): Promise<void> {
    try {
      await this.#checkLeases();
    } catch (error) {
      // A backend that was terminated a moment ago may be leased once more.
      if (!this.killed || attempt === CONNECTIONS || error instanceof AssertionError) throw error;
      return await this.#checkConnections(attempt + 1);
    }
    const { activeConnections, waitingForConnection } = this.#manager.getStats();
    assertEquals([activeConnections, waitingForConnection], [0, 0]);
  }

  async #checkLeases(): Promise<void> {
    const leases = await Promise.all(
      Array.from({ length: CONNECTIONS }, () => this.#manager.lease({ acquireTimeoutMs: 10_000 })),
    );
    try {
      for (const lease of leases) {
        const { rows } = await lease.query(
          `select current_user = session_user as own, coalesce(current_setting('request.jwt.claims', true), '') as claims,
            pg_current_xact_id_if_assigned() is null as idle, current_setting('search_path') as path`,
        );
        const path = '"$user", public, extensions';
        assertEquals(rows, [{ own: true, claims: "", idle: true, path }]);
      }
      const { rows } = await this.#admin.query<{ n: number; idle: boolean }>(
        `select count(*)::int as n, bool_and(state = 'idle') as idle from pg_stat_activity where usename = 'authenticator'`,
      );
      assertEquals([(rows[0]?.n ?? 0) <= CONNECTIONS, rows[0]?.idle], [true, true], JSON.stringify(rows));
    } finally {
      for (const lease of leases) lease.release();
    }
  }

  #count(kind: string): void {
    this.tally[kind] = (this.tally[kind] ?? 0) + 1;
  }
}

/** One run of a program. */
class Run {
  /** True if it was aborted before anything had ended it. */
  abortedOpen = false;
  transaction: Transaction | undefined = undefined;
  readonly controller: AbortController;

  constructor(controller: AbortController) {
    this.controller = controller;
  }

  abort(): void {
    // Without its end by hand, an open transaction whose function still runs cannot have been committed.
    if (this.transaction && !this.transaction.ended) this.abortedOpen = true;
    this.controller.abort(new Error("aborted by the program"));
  }
}

/** Returns the rows of a level and of those nested in it; with `kept`, those that its commit keeps. */
function rowsOf(level: Level, kept = false): Level["rows"] {
  const nested = level.nested.filter(({ end }) => !kept || end === "committed");
  return [...level.rows.filter((row) => !kept || row.kept), ...nested.flatMap((inner) => rowsOf(inner, kept))];
}

function isUnknown(error: unknown): boolean {
  return error instanceof CommitOutcomeUnknownError;
}

function circular(): object {
  const value: Record<string, unknown> = {};
  value["self"] = value;
  return value;
}
