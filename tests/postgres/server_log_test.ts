import { assertEquals } from "@std/assert";
import { PostgresError, type PostgresPool } from "../../shared/postgres/mod.ts";
import { claimsOf, TestDatabase } from "./support.ts";

const ALICE = "7a1d6f3e-0c4b-4e52-9f0a-1b6b1c2d3e04";

/** The errors of the statements below that the server is right to log. */
const EXPECTED = /division by zero|canceling statement due to user request|violates foreign key constraint/;

/** Runs each way of using a pool, those that fail included. */
async function useAll(pool: PostgresPool): Promise<void> {
  const failure = (work: () => Promise<unknown>) => work().then(() => {}, () => {});
  await pool.query("select 1");
  await failure(() => pool.query("select 1 / 0"));
  await failure(() => pool.query("select $1::int", [{ toPostgres: () => "\0" }]));
  await failure(() => pool.query("select pg_sleep(5)", [], { timeoutMs: 20 }));
  await failure(() => pool.query("select pg_sleep(5)", [], { signal: AbortSignal.timeout(20) }));
  await pool.transaction([{ query: "select 1" }, { query: "select 2" }]);
  await failure(() => pool.transaction([{ query: "select 1 / 0" }, { query: "select 2" }]));
  await failure(() => pool.transaction([{ query: "insert into late values (1)" }]));
  await pool.transaction(async (tx) => {
    await tx.query("select 1");
    await failure(() => tx.transaction((nested) => nested.query("select 1 / 0")));
    await tx.transaction(async (nested) => void await nested.query("select 1"));
    await tx.transaction(() => {});
  });
  await pool.transaction(() => {});
  await failure(() => pool.transaction((tx) => tx.query("select 1 / 0")));
  await failure(() => pool.transaction((tx) => tx.query("insert into late values (1)")));
  await failure(() => pool.transaction((tx) => tx.query("select pg_sleep(5)"), { timeoutMs: 20 }));
  await pool.transaction(async (tx) => {
    await tx.query("select 1");
    await tx.rollback();
  });
  await pool.transaction(async (tx) => {
    await tx.query("select 1");
    await tx.commit();
  });
  await failure(() =>
    pool.transaction(async (tx) => {
      void tx.query("select pg_sleep(0.01)").catch(() => {});
      await Promise.resolve();
      throw new RangeError("left");
    })
  );
  await using connection = await pool.lease();
  await connection.query("select 1");
  await failure(() => connection.query("select 1 / 0"));
  await failure(() => connection.query("set work_mem = '5MB'")); // refused behind a pooler
  await connection.transaction((tx) => tx.query("select 1"));
  await Promise.allSettled([connection.query("select 1 / 0"), connection.query("select 2")]);
}

Deno.test("PostgresConnectionManager leaves no warning, and no error but its callers', in the server's log", async () => {
  const lines: string[] = [];
  await using database = await TestDatabase.start((line) => lines.push(line));
  const admin = database.manager();
  await admin.query("create table parent (id int primary key)");
  await admin.query("create table late (parent int references parent deferrable initially deferred)");
  await admin.query("grant all on all tables in schema public to anon, authenticated");
  const authenticator = database.manager({ maxConnections: 2 }, "authenticator");
  const pooled = database.manager({ maxConnections: 2, poolMode: "transaction" }, "authenticator");
  lines.length = 0;
  for (let round = 0; round < 5; round++) {
    const callers = [authenticator, pooled].flatMap((each) => [each.as(claimsOf(ALICE)), each.as("anonymous")]);
    await Promise.all([admin, ...callers].map(useAll));
    assertEquals((await authenticator.healthCheck()).healthy, true);
  }
  const found = lines.filter((line) => /\b(WARNING|ERROR|FATAL|PANIC):/.test(line));
  // A cancel request may come late and hit COMMIT: the reset behind it fails in the transaction, and is sent again.
  const lateCancels = lines.filter((line) => /STATEMENT: +COMMIT$/.test(line.trimEnd())).length;
  const behindThem = found.filter((line) => line.includes("current transaction is aborted")).slice(0, lateCancels);
  assertEquals(found.filter((line) => !EXPECTED.test(line) && !behindThem.includes(line)), []);
  assertEquals(found.length > 100, true);
});

Deno.test("PostgresConnection leaves one warning for a statement that ends a transaction of its own twice", async () => {
  const lines: string[] = [];
  await using database = await TestDatabase.start((line) => lines.push(line));
  const manager = database.manager({ maxConnections: 1 });
  {
    await using connection = await manager.lease();
    await connection.query("begin");
    await connection.query("select 1");
  }
  await manager.query("select 1");
  {
    await using connection = await manager.lease();
    await connection.query("begin");
    await connection.query("select 1 / 0").catch((error) => error instanceof PostgresError || Promise.reject(error));
  }
  await manager.query("select 1");
  assertEquals(lines.filter((line) => line.includes("WARNING:")), []);
  await using connection = await manager.lease();
  await connection.query("rollback");
  assertEquals(lines.filter((line) => line.includes("WARNING:")).length, 1);
});

Deno.test("PostgresConnection rolls nothing back behind a statement that fails while the next one is under way", async () => {
  const lines: string[] = [];
  await using database = await TestDatabase.start((line) => lines.push(line));
  const manager = database.manager({ maxConnections: 1 }, "authenticator");
  await using connection = await manager.as(claimsOf(ALICE)).lease();
  for (let round = 0; round < 500; round++) {
    const [failed, ...others] = await Promise.allSettled([
      connection.query("select 1 / 0"),
      connection.query("select 1"),
      connection.query("select 2"),
    ]);
    assertEquals([failed, ...others].map(({ status }) => status), ["rejected", "fulfilled", "fulfilled"]);
  }
  assertEquals(lines.filter((line) => line.includes("WARNING:")), []);
});
