import { assert, assertEquals, assertRejects, assertThrows } from "@std/assert";
import { abortable } from "@std/async/abortable";
import { AsyncLocalStorage } from "node:async_hooks";
import postgres from "postgres";
import { freePort } from "../../../local/ports.ts";
import { ConnectionLog, type ConnectionLogOptions } from "../../../shared/data/connection_log/mod.ts";
import { type ManagerEvents, PostgresError } from "../../../shared/postgres/mod.ts";
import { Emitter } from "./emitter.ts";
import { TestDatabase } from "../../postgres/support.ts";
import { SecretWatch } from "../../support/secret_watch.ts";
import { until } from "../../support/until.ts";

const MIGRATION = new URL("../../../supabase/migrations/20260108090000_connection_logs.sql", import.meta.url);

async function migrate(database: TestDatabase): Promise<void> {
  const sql = postgres(database.server.url, { max: 1, onnotice: () => {} });
  await sql.unsafe(await Deno.readTextFile(MIGRATION));
  await sql.end();
}

const released = { leaseId: 1, resourceId: 3, lane: "normal", heldMs: 5 } as unknown as ManagerEvents["released"];

interface LogRow {
  readonly connection_id: string;
  readonly status: string;
  readonly error_message: string | null;
  readonly metadata: Record<string, unknown>;
}

Deno.test("ConnectionLog", async (t) => {
  await using database = await TestDatabase.start();
  const admin = database.manager();
  const connection = database.options();
  const newLog = (options: ConnectionLogOptions = {}) =>
    new ConnectionLog({ connection, onFailure: (error) => Promise.reject(error), ...options });
  const rowsOf = async (log: ConnectionLog) => {
    const text = "select connection_id, status, error_message, metadata from pool.connection_logs where " +
      "connection_id like $1 order by id";
    return (await admin.query(text, [`${log.id}%`])).rows as unknown as LogRow[];
  };

  await t.step("reports a missing table once, and neither fails nor delays what is logged", async () => {
    const failures: unknown[] = [];
    const log = newLog({ onFailure: (error) => void failures.push(error), flushIntervalMs: 5 });
    const manager = database.manager();
    log.watch(manager);
    for (let n = 0; n < 3; n++) {
      await manager.query("select 1");
      await log.flush();
    }
    await log.close();
    assertEquals(failures.map((error) => (error as PostgresError).code), ["3F000"]);
  });

  await migrate(database);

  await t.step("writes the events of a manager, in order, on a connection that it closes", async () => {
    const log = newLog();
    const manager = database.manager({ maxConnections: 1 });
    log.watch(manager);
    await manager.query("select 1");
    await manager.healthCheck();
    const pid = (await manager.query("select pg_backend_pid() as pid")).rows[0]?.["pid"];
    await admin.query("select pg_terminate_backend($1)", [pid]);
    await until("the loss is noticed", () => manager.getStats().totalConnections === 0);
    await log.flush();
    const rows = await rowsOf(log);
    const statuses = rows.map(({ status }) => status);
    assertEquals(statuses.slice(0, 3), ["created", "acquired", "released"]);
    for (const status of ["health_check", "error", "destroyed"]) assert(statuses.includes(status), statuses.join());
    assertEquals(rows[0]?.connection_id, `${log.id}/1`);
    const check = rows.find(({ status }) => status === "health_check");
    assertEquals([check?.connection_id, check?.metadata["healthy"]], [log.id, true]);
    assert(rows.every(({ metadata }) => !Number.isNaN(Date.parse(String(metadata["at"])))));
    await log.close();
    await log.close();
    const { rows: open } = await admin.query(
      "select 1 from pg_stat_activity where application_name = 'connection-log'",
    );
    assertEquals(open.length, 0);
    assertThrows(() => log.watch(manager), Error, "closed");
    await manager.shutdown();
  });

  await t.step("ends a write under load: what comes meanwhile is written after the next interval", async () => {
    const log = newLog({ rowsPerSecond: 1, flushIntervalMs: 60_000 });
    const emitter = new Emitter();
    log.watch(emitter);
    const load = setInterval(() => emitter.emit("released", released), 1);
    for (let n = 0; n < 10; n++) emitter.emit("released", released);
    try {
      await abortable(log.flush(), AbortSignal.timeout(3_000));
    } finally {
      clearInterval(load);
    }
    assert((await rowsOf(log)).length <= 5);
    await log.close();
  });

  await t.step("writes texts that jsonb does not hold with replacements", async () => {
    const log = newLog();
    const emitter = new Emitter();
    log.watch(emitter);
    const texts = ["a\0b", "\u{1F600}".repeat(400), `x${"\u{1F600}".repeat(400)}`, "\uD83D"];
    for (const [n, text] of texts.entries()) {
      emitter.emit("error", { error: new Error(text), source: "create", connectionId: n });
    }
    await log.flush();
    assertEquals((await rowsOf(log)).map(({ connection_id }) => connection_id), texts.map((_, n) => `${log.id}/${n}`));
    await log.close();
  });

  await t.step("writes no values of rows and no secrets", async () => {
    const log = newLog();
    const emitter = new Emitter();
    log.watch(emitter);
    const error = await assertRejects(
      () => admin.query("select 'row-value-8271-secret'::int"),
      PostgresError,
    );
    emitter.emit("error", { error, source: "invalidate", connectionId: 4 });
    const url = "connect failed for postgresql://me:hunter2-hunter2@db.example/app";
    emitter.emit("error", { error: new Error(url), source: "create" });
    emitter.emit("error", { error: new Error("x".repeat(10_000)), source: "create" });
    await log.close();
    const rows = await rowsOf(log);
    assertEquals(rows.map(({ connection_id }) => connection_id), [`${log.id}/4`, log.id, log.id]);
    const watch = new SecretWatch();
    watch.know("a value of a row", "row-value-8271-secret");
    watch.know("a password", "hunter2-hunter2");
    watch.inspect("the log", JSON.stringify(rows));
    assertEquals(rows[0]?.metadata["code"], "22P02");
    assertEquals(rows[2]?.error_message?.length, 500);
  });

  await t.step("of a flood of events, it writes a bounded number, and the number of the others", async () => {
    const log = newLog({ rowsPerSecond: 10 });
    const emitter = new Emitter();
    log.watch(emitter);
    for (let n = 0; n < 100_000; n++) emitter.emit("released", released);
    for (let n = 0; n < 5; n++) emitter.emit("recovered", { downMs: n });
    assert(log.waiting <= 60, String(log.waiting));
    await log.close();
    const rows = await rowsOf(log);
    // Half of the rows of a burst are left for what is rare.
    assertEquals(rows.filter(({ status }) => status === "recovered").length, 5);
    const written = rows.filter(({ status, metadata }) => status === "released" && !("suppressed" in metadata)).length;
    const suppressed = rows.find(({ metadata }) => "suppressed" in metadata)?.metadata["suppressed"];
    assert(written >= 25 && written < 60, String(written));
    assertEquals(written + Number(suppressed), 100_000);
  });

  await t.step("while the database is down, rows wait, bounded; they are written once it is up", async () => {
    const failures: unknown[] = [];
    const { port } = database.options();
    const down = { ...connection, port: freePort() };
    const log = newLog({
      connection: down,
      maxBufferedRows: 50,
      rowsPerSecond: 1_000,
      onFailure: (error) => void failures.push(error),
    });
    const emitter = new Emitter();
    log.watch(emitter);
    for (let n = 0; n < 2_000; n++) emitter.emit("recovered", { downMs: n });
    await log.flush();
    await log.flush();
    assertEquals([log.waiting, failures.length], [50, 1]);
    const listener = Deno.listen({ hostname: "127.0.0.1", port: down.port });
    const relays = (async () => {
      for await (const near of listener) {
        const far = await Deno.connect({ hostname: "127.0.0.1", port });
        void Promise.allSettled([near.readable.pipeTo(far.writable), far.readable.pipeTo(near.writable)]);
      }
    })();
    await log.close();
    listener.close();
    await relays;
    const rows = await rowsOf(log);
    const events = rows.filter(({ metadata }) => "downMs" in metadata).length;
    const suppressed = rows.reduce((sum, { metadata }) => sum + Number(metadata["suppressed"] ?? 0), 0);
    assert(events >= 48 && rows.length <= 51, `${events} of ${rows.length}`);
    assertEquals(events + suppressed, 2_000);
    assertEquals(rows.findLast(({ metadata }) => "downMs" in metadata)?.metadata["downMs"], 1_999);
  });

  await t.step(
    "the end of the isolate writes what waits, and EdgeRuntime waits for it outside of any request",
    async () => {
      const requests = new AsyncLocalStorage<string>();
      const waited: { readonly promise: Promise<unknown>; readonly request: string | undefined }[] = [];
      const EdgeRuntime = {
        waitUntil: (promise: Promise<unknown>) => void waited.push({ promise, request: requests.getStore() }),
      };
      Object.assign(globalThis, { EdgeRuntime });
      try {
        const log = newLog({ flushIntervalMs: 600_000 });
        const emitter = new Emitter();
        log.watch(emitter);
        requests.run("a request", () => {
          for (let n = 0; n < 3; n++) emitter.emit("recovered", { downMs: n });
        });
        assertEquals(waited.map(({ request }) => request), [undefined]);
        globalThis.dispatchEvent(new Event("beforeunload"));
        await waited[0]?.promise;
        assertEquals((await rowsOf(log)).length, 3);
        assertEquals(log.waiting, 0);
        await log.close();
        assertEquals(emitter.listeners, 0);
        globalThis.dispatchEvent(new Event("beforeunload"));
      } finally {
        Reflect.deleteProperty(globalThis, "EdgeRuntime");
      }
    },
  );

  await t.step("delete_connection_logs() deletes old rows, and those beyond a number, in bounded steps", async () => {
    await admin.query("truncate pool.connection_logs");
    await admin.query(
      "insert into pool.connection_logs (connection_id, status, created_at) " +
        "select 'old', 'closed', now() - interval '8 days' from generate_series(1, 1500)",
    );
    const left = async () => (await admin.query("select count(*)::int as n from pool.connection_logs")).rows[0]?.["n"];
    const log = newLog();
    const emitter = new Emitter();
    log.watch(emitter);
    emitter.emit("recovered", { downMs: 1 });
    await log.flush();
    assertEquals(await left(), 501);
    emitter.emit("recovered", { downMs: 1 });
    await log.flush();
    assertEquals(await left(), 2);
    await log.close();
    await admin.query(
      "insert into pool.connection_logs (connection_id, status, created_at) " +
        "select 'new', 'closed', now() - n * interval '1 second' from generate_series(1, 1500) as n",
    );
    await admin.query("select pool.delete_connection_logs(7, 1000)");
    assertEquals(await left(), 1_000);
    // A shorter time than a day, and fewer rows than a thousand, would delete what was just written.
    assertEquals((await admin.query("select pool.delete_connection_logs(0, 0) as n")).rows, [{ n: 0 }]);
    // What is beyond is deleted as fast as it is written.
    const busy = newLog({ maxRows: 1_000, rowsPerSecond: 1_000, maxBufferedRows: 5_000 });
    busy.watch(emitter);
    emitter.emit("recovered", { downMs: 1 });
    await busy.flush();
    for (let n = 0; n < 1_100; n++) emitter.emit("recovered", { downMs: n });
    await busy.flush();
    assert(Number(await left()) <= 1_201, String(await left()));
    await busy.close();
  });

  await t.step(
    "no role of the Data API has a right on it; a login with the right to execute can only write",
    async () => {
      const table = "select 1 from pool.connection_logs";
      const call = "select pool.log_connection_event('c', 's')";
      const insert = "insert into pool.connection_logs (connection_id, status) values ('c', 's')";
      const removal = "select pool.delete_connection_logs()";
      for (const role of ["anon", "authenticated", "service_role", "authenticator"]) {
        for (const text of [table, call, insert, removal]) {
          const run = admin.transaction(async (tx) => {
            await tx.query(`set local role ${role}`);
            await tx.query(text);
          });
          assertEquals((await assertRejects(() => run, PostgresError)).code, "42501", `${role}: ${text}`);
        }
      }
      await admin.query("grant usage on schema pool to authenticator");
      await admin.query("grant execute on function pool.log_connection_event to authenticator");
      const login = database.manager({}, "authenticator");
      const failures: unknown[] = [];
      const onFailure = (error: unknown) => failures.push((error as PostgresError).code);
      const log = newLog({ connection: database.options("authenticator"), onFailure });
      const emitter = new Emitter();
      log.watch(emitter);
      for (let n = 0; n < 3; n++) {
        emitter.emit("recovered", { downMs: n });
        await log.flush();
      }
      assertEquals([failures, log.waiting, (await rowsOf(log)).length], [["42501"], 0, 3]);
      await log.close();
      await login.query("select pool.log_connection_event('c', 's', 'e', '{\"a\": 1}')");
      assertEquals((await assertRejects(() => login.query(table), PostgresError)).code, "42501");
      const written =
        "select connection_id, status, error_message, metadata from pool.connection_logs where status = 's'";
      assertEquals((await admin.query(written)).rows, [
        { connection_id: "c", status: "s", error_message: "e", metadata: { a: 1 } },
      ]);
    },
  );
});
