/** What is said of a transaction whose end was not seen. */
import { assert, assertEquals, assertStrictEquals } from "@std/assert";
import {
  CommitOutcomeUnknownError,
  type PostgresConfig,
  PostgresError,
  QueryTimeoutError,
  RollbackFailedError,
} from "../../shared/postgres/mod.ts";
import { TcpProxy } from "../support/tcp_proxy.ts";
import { TestDatabase, thrownBy } from "./support.ts";

Deno.test("the end of a transaction", async (t) => {
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
  const mend = () => {
    proxy.tap = undefined;
    proxy.resume();
  };

  await t.step("a list that is not answered may have been committed, and this one was", async () => {
    const manager = await connect();
    deafen();
    const list = [{ query: "insert into number values (1)" }];
    await thrownBy(() => manager.transaction(list, { timeoutMs: 50 }), CommitOutcomeUnknownError);
    mend();
    assertEquals(await rows(1), 1);
    assertEquals(manager.getStats().transactions.unknown, 1);
    assertEquals((await manager.query("select 1 as n")).rows, [{ n: 1 }]);
  });

  await t.step("whoever gives up during COMMIT learns soon that its outcome is unknown", async () => {
    const manager = await connect();
    const given = new AbortController();
    const started = performance.now();
    const work = manager.transaction(async (tx) => {
      await tx.query("insert into number values (2)");
      deafen();
      setTimeout(() => given.abort(new RangeError("mine")), 30);
    }, { signal: given.signal });
    await thrownBy(() => work, CommitOutcomeUnknownError);
    assert(performance.now() - started < 2_000);
    mend();
    assertEquals(await rows(2), 1);
  });

  await t.step("a COMMIT that is answered in time counts, though its caller had given up", async () => {
    const manager = await connect();
    const given = new AbortController();
    proxy.latencyMs = 20;
    await manager.transaction(async (tx) => {
      await tx.query("insert into number values (3)");
      setTimeout(() => given.abort(new RangeError("mine")), 10);
    }, { signal: given.signal });
    proxy.latencyMs = 0;
    assertEquals(await rows(3), 1);
    // Nothing is left that would cut the connection later.
    await new Promise((resolve) => setTimeout(resolve, 200));
    assertEquals((await manager.query("select 1 as n")).rows, [{ n: 1 }]);
    assertEquals(manager.getStats().totalCreated, 1);
  });

  await t.step("whoever gives up before COMMIT rolls back, even if the function does not notice", async () => {
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

  await t.step("a rollback that fails closes the connection, says so, and keeps the first error", async () => {
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
    mend();
    assert(errors.some(({ cause }) => cause instanceof RollbackFailedError), String(errors));
    assertEquals((await manager.query("select 1 as n")).rows, [{ n: 1 }]);
    assertEquals([manager.getStats().totalCreated, await rows(5)], [2, 0]);
  });

  await t.step("a server that dies in the middle of a list has certainly not committed it", async () => {
    const manager = await connect();
    const list = [{ query: "insert into number values (6)" }, {
      query: "select pg_terminate_backend(pg_backend_pid())",
    }];
    assertEquals((await thrownBy(() => manager.transaction(list), PostgresError)).code, "57P01");
    const { rolledBack, unknown } = manager.getStats().transactions;
    assertEquals([rolledBack, unknown, await rows(6)], [1, 0, 0]);
  });

  await t.step("so that it is tried again, though it is not said that it may run twice", async () => {
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

  await t.step("a statement whose cancel request cannot be sent is cut", async () => {
    const manager = await connect();
    await proxy.refuse();
    const started = performance.now();
    await thrownBy(() => manager.query("select pg_sleep(1)", [], { timeoutMs: 30 }), QueryTimeoutError);
    assert(performance.now() - started < 900, "it was waited for");
    await proxy.accept();
    assertEquals((await manager.query("select 1 as n")).rows, [{ n: 1 }]);
    assertEquals(manager.getStats().totalCreated, 2);
  });

  await t.step("one whose cancel request is not answered is cut, and its effect is not known", async () => {
    const manager = await connect();
    deafen();
    const insert = "insert into number values (8)";
    const { message } = await thrownBy(() => manager.query(insert, [], { timeoutMs: 30 }), QueryTimeoutError);
    assert(message.includes("its effect is unknown"), message);
    assertEquals(await rows(8), 1);
    mend();
    assertEquals((await manager.query("select 1 as n")).rows, [{ n: 1 }]);
    assertEquals(manager.getStats().totalCreated, 2);
  });
});
