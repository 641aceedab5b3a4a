/** Outcomes of transactions whose end was not observed. */
import { assert, assertEquals, assertStrictEquals } from "@std/assert";
import {
  CommitOutcomeUnknownError,
  type PostgresConfig,
  PostgresConnectionManager,
  PostgresError,
  QueryTimeoutError,
  RollbackFailedError,
} from "../../shared/postgres/mod.ts";
import { TcpProxy } from "../support/tcp_proxy.ts";
import { until } from "./chaos/rig.ts";
import { message, ScriptedServer } from "./scripted_server.ts";
import { TestDatabase, thrownBy } from "./support.ts";

Deno.test("transaction() outcomes", async (t) => {
  await using database = await TestDatabase.start();
  const { host, port } = database.options();
  await using proxy = await TcpProxy.start({ host, port });
  const admin = database.manager();
  await admin.query("create table number (n int)");
  const rows = async (n: number) => (await admin.query("select from number where n = $1", [n])).rowCount;
  const connect = async (config: Partial<PostgresConfig> = {}) => {
    const manager = database.manager({ port: proxy.port, maxConnections: 1, cancelTimeoutMs: 150, ...config });
    await manager.query("select 1");
    return manager;
  };
  /** From now on the server hears us, and we hear nothing. */
  const deafen = () => {
    proxy.tap = (from) => {
      if (from === "server") proxy.stall();
    };
  };
  const restore = () => {
    proxy.tap = undefined;
    proxy.resume();
  };

  await t.step("transaction() rejects with CommitOutcomeUnknownError when a list has no response", async () => {
    const manager = await connect();
    deafen();
    const list = [{ query: "insert into number values (1)" }];
    await thrownBy(() => manager.transaction(list, { timeoutMs: 50 }), CommitOutcomeUnknownError);
    restore();
    await until("the server has run it", async () => await rows(1) === 1);
    assertEquals(manager.getStats().transactions.unknown, 1);
    assertEquals((await manager.query("select 1 as n")).rows, [{ n: 1 }]);
  });

  await t.step("transaction() rejects with CommitOutcomeUnknownError soon after an abort during COMMIT", async () => {
    const manager = await connect();
    const given = new AbortController();
    const started = performance.now();
    const work = manager.transaction(async (tx) => {
      await tx.query("insert into number values (2)");
      deafen();
      setTimeout(() => given.abort(new RangeError("mine")), 30);
    }, { signal: given.signal });
    await thrownBy(() => work, CommitOutcomeUnknownError);
    assert(performance.now() - started < 10_000);
    restore();
    await until("the server has run it", async () => await rows(2) === 1);
  });

  await t.step("transaction() resolves when COMMIT is answered in time after an abort", async () => {
    const manager = await connect({ cancelTimeoutMs: 1_000 });
    const given = new AbortController();
    proxy.latencyMs = 20;
    await manager.transaction(async (tx) => {
      await tx.query("insert into number values (3)");
      setTimeout(() => given.abort(new RangeError("mine")), 10);
    }, { signal: given.signal });
    proxy.latencyMs = 0;
    assertEquals(await rows(3), 1);
    // Nothing is left that would cut the connection later.
    await new Promise((resolve) => setTimeout(resolve, 1_050));
    assertEquals((await manager.query("select 1 as n")).rows, [{ n: 1 }]);
    assertEquals(manager.getStats().totalCreated, 1);
  });

  await t.step("transaction() rolls back after an abort before COMMIT, even if the function ignores it", async () => {
    const manager = await connect();
    const given = new AbortController();
    const reason = new RangeError("mine");
    const work = manager.transaction(async (tx) => {
      await tx.query("insert into number values (4)");
      assertStrictEquals(tx.signal, given.signal);
      given.abort(reason);
    }, { signal: given.signal });
    assertStrictEquals(await thrownBy(() => work, RangeError), reason);
    assertEquals([await rows(4), manager.getStats().activeConnections], [0, 0]);
  });

  await t.step("transaction() closes the connection when the rollback fails, and keeps the first error", async () => {
    const manager = await connect();
    const errors: Error[] = [];
    manager.on("error", ({ error }) => errors.push(error));
    const mine = new RangeError("mine");
    const work = manager.transaction(async (tx) => {
      await tx.query("insert into number values (5)");
      proxy.stall();
      throw mine;
    });
    assertStrictEquals(await thrownBy(() => work, RangeError), mine);
    restore();
    assert(errors.some(({ cause }) => cause instanceof RollbackFailedError), String(errors));
    assertEquals((await manager.query("select 1 as n")).rows, [{ n: 1 }]);
    assertEquals([manager.getStats().totalCreated, await rows(5)], [2, 0]);
  });

  await t.step(
    "transaction() rejects with a certain rollback when the server dies in the middle of a list",
    async () => {
      const manager = await connect();
      const list = [{ query: "insert into number values (6)" }, {
        query: "select pg_terminate_backend(pg_backend_pid())",
      }];
      assertEquals((await thrownBy(() => manager.transaction(list), PostgresError)).code, "57P01");
      const { rolledBack, unknown } = manager.getStats().transactions;
      assertEquals([rolledBack, unknown, await rows(6)], [1, 0, 0]);
    },
  );

  await t.step("executeTransactionWithRetry() retries a list that was certainly rolled back", async () => {
    const manager = await connect();
    await admin.query("create sequence death");
    const die = "select case nextval('death') when 1 then pg_terminate_backend(pg_backend_pid()) end";
    const list = [{ query: "insert into number values (7)" }, { query: die }];
    const results = await manager.executeTransactionWithRetry(list, 1, 1);
    assertEquals([results.length, await rows(7)], [2, 1]);
    // Alone, the same death leaves a doubt.
    await admin.query("alter sequence death restart");
    assertEquals((await thrownBy(() => manager.executeQueryWithRetry(die, [], 1, 1), PostgresError)).code, "57P01");
  });

  await t.step("query() closes the connection when the cancel request cannot be sent", async () => {
    const manager = await connect();
    await proxy.refuse();
    const started = performance.now();
    await thrownBy(() => manager.query("select pg_sleep(60)", [], { timeoutMs: 30 }), QueryTimeoutError);
    assert(performance.now() - started < 30_000, "it was waited for");
    await proxy.accept();
    assertEquals((await manager.query("select 1 as n")).rows, [{ n: 1 }]);
    assertEquals(manager.getStats().totalCreated, 2);
  });

  await t.step("query() rejects with an unknown effect when the cancel request has no response", async () => {
    const manager = await connect();
    deafen();
    const insert = "insert into number values (8)";
    const { message } = await thrownBy(() => manager.query(insert, [], { timeoutMs: 30 }), QueryTimeoutError);
    assert(message.includes("its effect is unknown"), message);
    await until("the server has run it", async () => await rows(8) === 1);
    restore();
    assertEquals((await manager.query("select 1 as n")).rows, [{ n: 1 }]);
    assertEquals(manager.getStats().totalCreated, 2);
  });
});

Deno.test("transaction() of a list leaves no transaction to the next statement where a cancel request hits COMMIT", async () => {
  const sent: string[] = [];
  const bytes = (text: string) => new TextEncoder().encode(text);
  const canceled = ["SERROR", "VERROR", "C57014", "Mcanceling statement due to user request", new Uint8Array(1)];
  await using server = new ScriptedServer((step, connection, texts) => {
    if (step !== "sync") return false;
    sent.push(...texts);
    return texts[0] === "COMMIT" && connection.send(message("E", ...canceled), message("Z", bytes("E")));
  });
  const { port, user } = server;
  await using manager = new PostgresConnectionManager({
    host: "127.0.0.1",
    port,
    user,
    database: "d",
    password: "p",
    ssl: false,
    minConnections: 0,
    maxConnections: 1,
    healthCheckIntervalMs: 0,
  });
  const error = await thrownBy(() => manager.transaction([{ query: "select first" }]), PostgresError);
  assertEquals(error.code, "57014");
  await manager.query("select next");
  assertEquals(sent.filter((text) => /^(commit|rollback|select (first|next))/i.test(text)), [
    "select first",
    "COMMIT",
    "ROLLBACK;",
    "select next",
  ]);
  assertEquals(manager.getStats().activeConnections, 0);
});
