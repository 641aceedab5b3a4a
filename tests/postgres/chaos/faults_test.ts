/** One fault of the network or the server at a time, and exactly what becomes of whom. */
import { assert, assertEquals } from "@std/assert";
import { AcquireTimeoutError } from "../../../shared/pool/mod.ts";
import {
  CommitOutcomeUnknownError,
  ConnectionLostError,
  PostgresError,
  QueryTimeoutError,
} from "../../../shared/postgres/mod.ts";
import { claimsOf, thrownBy } from "../support.ts";
import { countRoundTrips, pause, Rig, until, useEverySlot } from "./rig.ts";

const ROWS = "select n, repeat('x', 100) as text from generate_series(1, 20000) as n";

Deno.test("PostgresConnectionManager under one fault at a time", async (t) => {
  await using rig = await Rig.start();
  const { proxy, database } = rig;
  const direct = database.manager();
  await direct.query("create table done (n int)");
  await direct.query("grant all on done to anon, authenticated");
  const done = async (n: number) => {
    const { rows } = await direct.query<{ n: number }>("select count(*)::int as n from done where n = $1", [n]);
    return rows[0]?.n;
  };

  await t.step("lease() is granted soon after the server's return when connecting is refused", async () => {
    const manager = rig.manager({ acquireTimeoutMs: 60_000 });
    let refused = 0;
    using _errors = manager.on("error", () => refused++);
    await proxy.refuse();
    const answers = Array.from({ length: 50 }, () => manager.query("select 1"));
    const first = Promise.race(answers);
    await until("it is refused", () => refused > 0);
    const impatient = manager.query("select 1", [], { acquireTimeoutMs: 100 });
    const { cause } = await thrownBy(() => impatient, AcquireTimeoutError);
    assertEquals(Reflect.get(cause as object, "code"), "ECONNREFUSED");
    await pause(600);
    assertEquals(manager.getStats().waitingForConnection, 50);
    await proxy.accept();
    const accepted = performance.now();
    await first;
    const tookMs = performance.now() - accepted;
    assert(tookMs < 10_000, `${tookMs} ms`);
    await Promise.all(answers);
    await useEverySlot(manager);
  });

  await t.step("lease() lets one attempt at a time connect to a crashed server, without a storm", async () => {
    const manager = rig.manager({ maxConnections: 16, acquireTimeoutMs: 60_000 });
    await useEverySlot(manager);
    await database.server.kill();
    await until("they are gone", () => manager.getStats().totalConnections === 0);
    const before = proxy.accepted;
    const answers = Array.from({ length: 200 }, () => manager.query("select 1"));
    await pause(800);
    await until("one asks again", () => proxy.accepted - before > 1);
    // All there may be find out together; from then on one asks, after 25, 50, 100, … ms.
    const attempts = proxy.accepted - before;
    assert(attempts <= 24, `${attempts} attempts`);
    await database.server.start();
    const start = performance.now();
    await Promise.race(answers);
    const tookMs = performance.now() - start;
    assert(tookMs < 10_000, `${tookMs} ms`);
    await Promise.all(answers);
    await useEverySlot(manager);
  });

  await t.step("query() rejects with an unknown effect when the connection is reset, and is not resent", async () => {
    const manager = rig.manager();
    const running = manager.executeQueryWithRetry("insert into done select 1 from pg_sleep(0.1)", [], 3, 1);
    await until("it runs", () => manager.getStats().activeConnections === 1);
    await pause(30);
    proxy.reset();
    await thrownBy(() => running, ConnectionLostError);
    await pause(150);
    // The server may find out only at its end.
    assert([0, 1].includes(await done(1) ?? -1));
    await useEverySlot(manager);
  });

  await t.step("executeQueryWithRetry() resends an idempotent statement when the connection is reset", async () => {
    const manager = rig.manager();
    const again = { idempotent: true };
    const running = manager.executeQueryWithRetry("select pg_sleep(0.1), 5 as n", [], 3, 1, again);
    await until("it runs", () => manager.getStats().activeConnections === 1);
    await pause(30);
    proxy.reset();
    assertEquals((await running).rows[0]?.["n"], 5);
  });

  await t.step("transaction() leaves nothing when the connection is reset in the middle", async () => {
    const manager = rig.manager();
    const work = manager.transaction(async (tx) => {
      await tx.query("insert into done values (2)");
      proxy.reset();
      await tx.query("insert into done values (2)");
    });
    await thrownBy(() => work, ConnectionLostError);
    assertEquals(await done(2), 0);
    await useEverySlot(manager);
  });

  await t.step("query() succeeds after a reset of idle connections", async () => {
    const manager = rig.manager();
    await useEverySlot(manager);
    proxy.reset();
    await until("they are gone", () => manager.getStats().totalConnections === 0);
    assertEquals((await manager.query("select 1 as n")).rows, [{ n: 1 }]);
  });

  await t.step("query() ends at its deadline when the server stalls, and its slot is free soon after", async () => {
    const manager = rig.manager({ maxConnections: 1 });
    await manager.query("select 1");
    proxy.stall();
    const start = performance.now();
    const slow = manager.query("insert into done values (3)", [], { timeoutMs: 100 });
    await thrownBy(() => slow, QueryTimeoutError);
    const tookMs = performance.now() - start;
    // timeoutMs and cancelTimeoutMs, and what a loaded machine adds. The server stays silent.
    assert(tookMs >= 99 && tookMs < 10_000, `${tookMs} ms`);
    proxy.resume();
    await useEverySlot(manager);
    const { totalCreated, totalDestroyed, totalConnections } = manager.getStats();
    assertEquals([totalCreated - totalDestroyed, totalConnections], [1, 1]);
  });

  await t.step("query() frees its slot when the server stalls for good", async () => {
    const manager = rig.manager({ maxConnections: 1 });
    await manager.query("select 1");
    for (const connection of proxy.connections) connection.stall();
    await thrownBy(() => manager.query("select 2", [], { timeoutMs: 50 }), QueryTimeoutError);
    // Others get through: it is this connection that is dead.
    const tookMs = await until("another one", () => manager.query("select 3").then(() => true, () => false));
    assert(tookMs < 10_000, `${tookMs} ms`);
    for (const connection of proxy.connections) connection.resume();
  });

  await t.step("transaction() rejects with CommitOutcomeUnknownError when COMMIT stalls", async () => {
    const manager = rig.manager({ queryTimeoutMs: 1_000 });
    await manager.query("select 1");
    const work = manager.transaction(async (tx) => {
      await tx.query("insert into done values (4)");
      proxy.stall();
    });
    await thrownBy(() => work, CommitOutcomeUnknownError);
    proxy.resume();
    await useEverySlot(manager);
    assert([0, 1].includes(await done(4) ?? -1));
  });

  await t.step("query() never returns a part of a result when the connection breaks in a row", async () => {
    const manager = rig.manager();
    for (const bytes of [1, 300, 70_000, 1_000_001]) {
      await manager.query("select 1");
      for (const connection of proxy.connections) connection.cutAfter(bytes);
      const error = await thrownBy(() => manager.query(ROWS), ConnectionLostError);
      assertEquals(Reflect.get(error.cause as object, "code"), "ECONNRESET", `after ${bytes} bytes`);
      await until("it is gone", () => manager.getStats().totalConnections === 0);
    }
    assertEquals((await manager.query(ROWS)).rows.length, 20_000);
  });

  await t.step("lease() creates another connection when one breaks while connecting", async () => {
    const manager = rig.manager();
    let cut = 0;
    proxy.tap = (from, _bytes, connection) => {
      // In the first answer, in the middle of the authentication, just before it is ready.
      if (from === "server" && cut < 3) connection.cutAfter([0, 20, 200][cut++] ?? 0);
    };
    assertEquals((await manager.query("select 1 as n")).rows, [{ n: 1 }]);
    proxy.tap = undefined;
    assertEquals(cut, 3);
    await useEverySlot(manager);
  });

  await t.step("as().query() takes one round trip on a slow network", async () => {
    const [manager, caller] = [rig.manager({ maxConnections: 1 }), rig.manager({ maxConnections: 1 }, "authenticator")];
    const asUser = caller.as(claimsOf(crypto.randomUUID()));
    await Promise.all([manager.query("select 1"), asUser.query("select 1")]);
    await until("they are clear", () => [manager, caller].every((each) => each.getStats().idleConnections === 1));
    proxy.latencyMs = 5;
    const trips = async (work: () => Promise<unknown>) => {
      const count = countRoundTrips(proxy);
      const start = performance.now();
      await work();
      return [count(), performance.now() - start] as const;
    };
    const [plain] = await trips(() => manager.query("select 1"));
    const [user, userMs] = await trips(() => asUser.query("select 1"));
    const insert = "insert into done values ($1)";
    const list = Array.from({ length: 3 }, (_, n) => ({ query: insert, values: [100 + n] }));
    const described = await trips(() => manager.transaction([{ query: insert, values: [90] }]));
    const declared = await trips(() =>
      manager.transaction([{ query: `${insert} returning n`, values: [91], paramTypes: ["int4"] }])
    );
    const [together] = await trips(() => manager.transaction(list));
    const [steps] = await trips(() =>
      manager.transaction(async (tx) => {
        for (const { query, values } of list) await tx.query(query, values);
      })
    );
    proxy.latencyMs = 0;
    proxy.tap = undefined;
    assertEquals([plain, user, together, steps], [1, 1, 1, 4]);
    // The first run of a text with values that are not strings asks for their types, unless they are declared.
    assertEquals([described[0], declared[0]], [2, 1]);
    assert(userMs >= 10, `${userMs} ms with 10 ms of latency: the proxy was passed by`);
  });

  await t.step(
    "transaction() is undone, and an idle connection replaced, when a backend is terminated",
    async () => {
      const manager = rig.manager();
      const kill = async (pid: number) => await direct.query("select pg_terminate_backend($1)", [pid]);
      const work = manager.transaction(async (tx) => {
        const { rows } = await tx.query<{ pid: number }>(
          "insert into done values (5) returning pg_backend_pid() as pid",
        );
        await kill(rows[0]?.pid ?? 0);
        await tx.query("insert into done values (5)");
      });
      const error = await thrownBy(() => work, Error);
      assert(
        ["57P01", "CONNECTION_LOST", "CONNECTION_BROKEN"].includes(String(Reflect.get(error, "code"))),
        String(error),
      );
      assertEquals(await done(5), 0);
      const { rows } = await manager.query<{ pid: number }>("select pg_backend_pid() as pid");
      await kill(rows[0]?.pid ?? 0);
      await until("it is gone", () => manager.getStats().totalConnections === 0);
      assertEquals((await manager.query("select 1 as n")).rows, [{ n: 1 }]);
      await useEverySlot(manager);
    },
  );

  await t.step(
    "query() is served by the existing connections at max_connections, and by new ones after that",
    async () => {
      const manager = rig.manager({ maxConnections: 8, acquireTimeoutMs: 60_000 }, "postgres");
      // Backends of the steps before would end at some time, and leave more free.
      const others = "from pg_stat_activity where backend_type = 'client backend' and pid <> pg_backend_pid()";
      await direct.query(`select pg_terminate_backend(pid) ${others}`);
      await until("the others have ended", async () => (await direct.query(`select ${others}`)).rowCount === 0);
      const { rows: [limits] } = await direct.query<{ free: number }>(
        "select current_setting('max_connections')::int - current_setting('superuser_reserved_connections')::int - " +
          "coalesce(current_setting('reserved_connections', true)::int, 0) - 1 as free",
      );
      const free = limits?.free ?? 0;
      assert(free > 10 && free < 100, `${free}`);
      const hog = database.manager({ maxConnections: free - 2, acquireTimeoutMs: 60_000 }, "postgres");
      const hogged = await Promise.all(Array.from({ length: free - 2 }, () => hog.lease()));
      let refused = 0;
      using _errors = manager.on("error", ({ error }) => {
        if (Reflect.get(error, "code") === "53300") refused++;
      });
      const answers = await Promise.all(
        Array.from({ length: 40 }, (_, n) => manager.query("select $1::int as n, pg_sleep(0.01)", [n])),
      );
      assertEquals(answers.map(({ rows }) => rows[0]?.["n"]), Array.from({ length: 40 }, (_, n) => n));
      const { totalConnections } = manager.getStats();
      assert(totalConnections >= 1 && totalConnections <= 2, `${totalConnections} connections where 2 were free`);
      assert(refused > 0, "the server was never full");

      // A pool that was refused early has one connection, and leaves one.
      const filler = database.manager({ acquireTimeoutMs: 60_000 }, "postgres");
      const filling = await Promise.all(Array.from({ length: 2 - totalConnections }, () => filler.lease()));
      const late = rig.manager({ acquireTimeoutMs: 60_000 }, "postgres");
      let lateRefused = 0;
      using _lateErrors = late.on("error", () => lateRefused++);
      const patient = late.query("select 1");
      await until("it is refused", () => lateRefused > 0);
      const impatient = late.query("select 1", [], { acquireTimeoutMs: 200 });
      const { cause } = await thrownBy(() => impatient, AcquireTimeoutError);
      assert(cause instanceof PostgresError && cause.code === "53300", String(cause));
      for (const lease of [...hogged, ...filling]) lease.release();
      await Promise.all([hog.shutdown(), filler.shutdown()]);
      await patient;
      await useEverySlot(manager);
    },
  );
});
