import { assert, assertEquals, assertNotEquals, assertRejects } from "@std/assert";
import { PostgresConnectionManager, type ServerState, serverStateOf } from "../../shared/postgres/mod.ts";
import type { BackendConnection } from "../../shared/postgres/connection/backend_connection.ts";
import { isOnTarget, TARGET_SESSION_ATTRIBUTES } from "../../shared/postgres/connection/session.ts";
import { SessionUnsuitableError } from "../../shared/postgres/mod.ts";
import { until } from "../support/until.ts";
import { ReplicatedDatabase } from "./replication.ts";
import { claimsOf } from "./support.ts";

const QUIET = { minConnections: 0, maxConnections: 4, healthCheckIntervalMs: 0 };

Deno.test("isOnTarget() judges a session as target_session_attrs of libpq does", () => {
  const states: readonly (readonly [string, ServerState, readonly string[]])[] = [
    ["primary", { inHotStandby: false, readOnly: false }, ["any", "read-write", "primary"]],
    ["read-only primary", { inHotStandby: false, readOnly: true }, ["any", "read-only", "primary"]],
    ["standby", { inHotStandby: true, readOnly: false }, ["any", "read-only", "standby"]],
    ["unknown", { inHotStandby: undefined, readOnly: undefined }, [...TARGET_SESSION_ATTRIBUTES]],
  ];
  for (const [name, state, fitting] of states) {
    assertEquals(TARGET_SESSION_ATTRIBUTES.filter((wanted) => isOnTarget(state, wanted)), fitting, name);
  }
});

Deno.test("PostgresConnectionManager knows the state of its server, and where it writes", async (test) => {
  await using database = await ReplicatedDatabase.start();
  await database.sql(0, "create table notes (id int); grant all on notes to public");
  await until(
    "the table is there",
    async () => (await database.sql(1, "select to_regclass('notes') as t"))[0]?.["t"] !== null,
  );
  const connect = (index: number, config = {}) =>
    new PostgresConnectionManager({ ...database.options(index), ...QUIET, ...config });

  await test.step("serverState is emitted for new connections", async () => {
    for (const [index, inHotStandby] of [[0, false], [1, true]] as const) {
      await using manager = connect(index);
      const states: ServerState[] = [];
      manager.on("serverState", (state) => states.push(state));
      await manager.query("select 1");
      assertEquals(states, [{ inHotStandby, readOnly: false }]);
    }
  });

  await test.step("targetSessionAttrs rejects a server of another kind before anything is sent", async () => {
    await using manager = connect(1, { targetSessionAttrs: "primary", connectionTimeoutMs: 200 });
    const error = await assertRejects(() => manager.query("select 1"), SessionUnsuitableError);
    assertEquals(error.code, "SESSION_UNSUITABLE");
    assertEquals((await manager.healthCheck()).healthy, false);
    await using fitting = connect(1, { targetSessionAttrs: "standby" });
    await fitting.query("select 1");
  });

  await test.step("admit sees the session before anything is sent, and what it throws rejects the call", async () => {
    await using manager = connect(1);
    const refusal = new Error("no");
    const admit = (session: { readonly settings: ReadonlyMap<string, string> }) => {
      if (serverStateOf(session.settings).inHotStandby) throw refusal;
    };
    for (
      const call of [
        () => manager.query("select 1", [], { admit }),
        () => manager.transaction([{ query: "select 1" }], { admit }),
        () => manager.transaction(() => 1, { admit }),
        () => manager.lease({ admit }),
        () => manager.as("anonymous").query("select 1", [], { admit }),
      ]
    ) assertEquals(await assertRejects(call), refusal);
    assertEquals(manager.getStats().activeConnections, 0);
    const answered = await manager.query("select 1 as one", [], { admit: () => {} });
    assertEquals(answered.rows, [{ one: 1 }]);
  });

  await test.step("onWalPosition is the position behind the write, of every way to write", async () => {
    await using manager = connect(0);
    await using authenticator = new PostgresConnectionManager({ ...database.options(0, "authenticator"), ...QUIET });
    const caller = authenticator.as(claimsOf("7f1c0f3e-3b0a-4c3e-9d55-6f1a5c3b0001"));
    const insert = "insert into notes values (1)";
    let latest = "0/0";
    const writes = [
      (options: object) => manager.query(insert, [], options),
      (options: object) => manager.transaction([{ query: insert }], options),
      (options: object) => manager.transaction((tx) => tx.query(insert), options),
      (options: object) => caller.query(insert, [], options),
      (options: object) => caller.transaction((tx) => tx.query(insert), options),
    ];
    for (const write of writes) {
      const positions: Promise<string | undefined>[] = [];
      await write({ onWalPosition: (position: Promise<string | undefined>) => positions.push(position) });
      assertEquals(positions.length, 1);
      const position = await positions[0];
      const [row] = await database.sql(
        0,
        `select '${position}'::pg_lsn > '${latest}'::pg_lsn as later,
        '${position}'::pg_lsn <= pg_current_wal_insert_lsn() as past`,
      );
      assertEquals(row, { later: true, past: true });
      latest = position ?? "";
    }
  });

  await test.step("onlyReads() learns which statements write by their functions", async () => {
    await using manager = connect(0);
    const reads = "select count(*) from notes";
    assertEquals(manager.onlyReads(reads), false);
    await until("it is known", () => manager.onlyReads(reads));
    for (
      const text of [
        "select clock_timestamp()",
        "select id from notes for update",
        "delete from notes",
        "select nextval('x')",
      ]
    ) {
      manager.onlyReads(text);
      manager.onlyReads(text);
      await manager.query("select 1");
      await until("it was asked", () => manager.getStats().activeConnections === 0);
      assertEquals(manager.onlyReads(text), false, text);
    }
  });

  await test.step("a connection whose server turns read-only is closed as soon as it is idle", async () => {
    await using manager = connect(0, { targetSessionAttrs: "read-write", connectionTimeoutMs: 200 });
    await manager.query("select 1");
    await database.sql(0, "alter system set default_transaction_read_only = on");
    await database.sql(0, "select pg_reload_conf()");
    const destroyed: unknown[] = [];
    manager.on("destroyed", (event) => destroyed.push(event));
    await until("the connection is closed", async () => {
      await manager.query("select 1").catch(() => {});
      return destroyed.length > 0;
    });
    await assertRejects(() => manager.query("select 1"), SessionUnsuitableError);
    await database.sql(0, "alter system reset default_transaction_read_only");
    await database.sql(0, "select pg_reload_conf()");
    await until("it connects again", () => manager.query("insert into notes values (2)").then(() => true, () => false));
  });

  await test.step("a connection that is to be closed once it is idle gets no more statements", async () => {
    const text = "select count(*)::int as n, pg_backend_pid() as pid from notes";
    for (const isDetached of [false, true]) {
      await using manager = connect(0, { maxConnections: 1 });
      let connection: BackendConnection | undefined;
      const admit = (session: object) => {
        connection = session as BackendConnection;
      };
      for (let each = 0; each < 50; each++) await manager.query(text, [], { admit });
      const { rows: [first] } = await manager.query(text);
      await using other = connect(0);
      await using locker = await other.lease();
      await locker.query("begin");
      await locker.query("lock table notes");
      const blocked = [manager.query(text)];
      // The second one is sent behind the first, whose lease ends for that.
      if (isDetached) blocked.push(manager.query(text));
      await until("it waits for the lock", () => connection?.inFlight === blocked.length);
      connection?.retire(new Error("retired"));
      const later = [manager.query(text), manager.transaction([{ query: text }]).then(([result]) => result)];
      await new Promise((resolve) => setTimeout(resolve, 50));
      assertEquals(connection?.inFlight, blocked.length);
      await locker.query("commit");
      for (const result of await Promise.all(blocked)) assertEquals(result.rows[0]?.["pid"], first?.["pid"]);
      for (const result of await Promise.all(later)) assertNotEquals(result?.rows[0]?.["pid"], first?.["pid"]);
      assertEquals(manager.getStats().totalDestroyed, 1);
    }
  });

  await test.step("promotion is reported on connections that are open", async () => {
    await using manager = connect(1);
    const states: ServerState[] = [];
    manager.on("serverState", (state) => states.push(state));
    await manager.query("select 1");
    await database.promote(1);
    await manager.query("select 1");
    await Promise.resolve();
    assert(states.some(({ inHotStandby }) => inHotStandby === false), JSON.stringify(states));
  });
});
