import { assert, assertEquals, assertInstanceOf, assertNotStrictEquals, assertRejects } from "@std/assert";
import net from "node:net";
import { ConfigError } from "../../shared/pool/mod.ts";
import {
  type ConnectFunction,
  ConnectionError,
  ConnectLimitError,
  type ConnectTarget,
  ConnectTimeoutError,
  PostgresConnectionManager,
  QueryTimeoutError,
} from "../../shared/postgres/mod.ts";
import { until } from "../support/until.ts";
import { TestDatabase } from "./support.ts";

/** Opens sockets to a server, and notes what they were opened for. */
class Way {
  readonly targets: ConnectTarget[] = [];
  readonly sockets = new Set<net.Socket>();
  readonly connect: ConnectFunction;

  constructor(port: number) {
    this.connect = (target) => {
      this.targets.push(target);
      return new Promise((resolve, reject) => {
        const socket = net.connect(port, "127.0.0.1", () => resolve(socket));
        this.sockets.add(socket);
        socket.once("error", reject);
        socket.once("close", () => this.sockets.delete(socket));
      });
    };
  }
}

Deno.test("PostgresConnectionManager with a connect function", async (t) => {
  await using database = await TestDatabase.start();
  const { port } = database.options();

  await t.step("query(), transaction() and a canceled statement use streams that it opens", async () => {
    const way = new Way(port);
    const manager = database.manager({ connect: way.connect, host: "db.internal.test", port: 9, maxConnections: 2 });
    assertEquals((await manager.query("select 1 as one")).rows, [{ one: 1 }]);
    await manager.transaction(async (tx) => void await tx.query("select repeat('x', 3000000)"));
    await assertRejects(() => manager.query("select pg_sleep(60)", [], { timeoutMs: 50 }), QueryTimeoutError);
    assertEquals((await manager.query("select 2 as two")).rows, [{ two: 2 }]);
    assertEquals(way.targets.map(({ host, port, purpose }) => [host, port, purpose]), [
      ["db.internal.test", 9, "statements"],
      ["db.internal.test", 9, "cancel"],
    ]);
    await manager.shutdown();
    await until("every stream is closed", () => way.sockets.size === 0);
  });

  await t.step("query() rejects with what it throws, and closes a stream that it opens too late", async () => {
    const reason = Object.assign(new Error("the way is blocked"), { code: "EHOSTUNREACH" });
    const blocked = database.manager({ connect: () => Promise.reject(reason), connectionTimeoutMs: 50 });
    const error = await assertRejects(() => blocked.query("select 1"), ConnectionError);
    assertEquals([error.code, error.message], ["EHOSTUNREACH", "the way is blocked"]);

    const way = new Way(port);
    const opening = Promise.withResolvers<void>();
    const late: ConnectFunction = async (target) => {
      await opening.promise;
      return await way.connect(target);
    };
    const slow = database.manager({ connect: late, connectionTimeoutMs: 50 });
    assert((await assertRejects(() => slow.query("select 1"), ConnectTimeoutError)).message.includes("50 ms"));
    opening.resolve();
    await until("the late streams are closed", () => way.targets.length > 0 && way.sockets.size === 0);
  });

  await t.step("query() reports the error with which a stream breaks", async () => {
    const way = new Way(port);
    const manager = database.manager({ connect: way.connect, maxConnections: 1 });
    const running = manager.query("select pg_sleep(60)");
    await until("the statement runs", async () => {
      const { rows } = await database.manager({}).query(
        "select 1 from pg_stat_activity where query = 'select pg_sleep(60)' and state = 'active'",
      );
      return rows.length > 0;
    });
    for (const socket of way.sockets) socket.destroy(Object.assign(new Error("the way broke"), { code: "ECONNRESET" }));
    const error = await assertRejects(() => running, Error);
    assert(
      String((error.cause as Error | undefined)?.message ?? error.message).includes("the way broke"),
      error.message,
    );
    assertEquals((await manager.query("select 1 as one")).rows, [{ one: 1 }]);
  });

  await t.step("healthCheck() begins with check(), and reports its error", async () => {
    const way = new Way(port);
    const state: { reason?: Error } = {};
    const check = () => state.reason ? Promise.reject(state.reason) : Promise.resolve();
    const manager = database.manager({ connect: Object.assign(way.connect, { check }) });
    assertEquals((await manager.healthCheck()).healthy, true);
    state.reason = new Error("no way");
    await new Promise((resolve) => setTimeout(resolve, 1_050)); // a result is cached for a second
    const { healthy, error } = await manager.healthCheck();
    assertEquals([healthy, error?.message], [false, "no way"]);
  });

  await t.step("ConnectLimitError lowers the limit of the pool, and opens no circuit", async () => {
    const way = new Way(port);
    const connect: ConnectFunction = async (target) => {
      if (way.sockets.size < 2) return await way.connect(target);
      throw new ConnectLimitError("two streams are open");
    };
    const manager = database.manager({ connect, maxConnections: 8 });
    const all = await Promise.all(Array.from({ length: 40 }, () => manager.query("select pg_sleep(0.02)")));
    assertEquals(all.length, 40);
    const { circuit, connectionLimit } = manager.getStats();
    assertEquals(circuit?.state, "closed");
    assert((connectionLimit?.refused ?? 0) > 0, JSON.stringify(connectionLimit));
  });
});

Deno.test("PostgresConnectionManager rejects a connect option that is not a function", () => {
  const bad = { connect: "tunnel" as unknown as ConnectFunction };
  const error = assertInstanceOfConfigError(() => new PostgresConnectionManager(bad));
  assertEquals(error.issues.map(({ path }) => path), ["connect"]);
});

Deno.test("PostgresConnectionManager.getInstance() rejects another connect function", async () => {
  const connect: ConnectFunction = () => Promise.reject(new Error("unreachable"));
  const other: ConnectFunction = () => Promise.reject(new Error("unreachable"));
  assertNotStrictEquals(connect, other);
  await using manager = PostgresConnectionManager.getInstance({ connect, minConnections: 0, healthChecks: false });
  assertEquals(
    PostgresConnectionManager.getInstance({ connect, minConnections: 0, healthChecks: false }) === manager,
    true,
  );
  const error = assertInstanceOfConfigError(() =>
    PostgresConnectionManager.getInstance({ connect: other, minConnections: 0, healthChecks: false })
  );
  assertEquals(error.issues.map(({ path }) => path), ["connect"]);
});

function assertInstanceOfConfigError(work: () => unknown): ConfigError {
  try {
    work();
  } catch (error) {
    assertInstanceOf(error, ConfigError);
    return error;
  }
  throw new Error("nothing was thrown");
}
