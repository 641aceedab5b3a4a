import { assertEquals, assertRejects } from "@std/assert";
import { PooledPostgresService } from "../../shared/http/postgres.ts";
import {
  ConnectionLostError,
  type LeaseOptions,
  PostgresError,
  type PostgresPool,
  type Transaction,
} from "../../shared/postgres/mod.ts";
import { claimsOf, TestDatabase, thrownBy } from "./support.ts";
import { until } from "../support/until.ts";

const USER = "7a1d6f3e-0c4b-4e52-9f0a-1b6b1c2d3e04";

class NoteService extends PooledPostgresService {
  attempts = 0;

  constructor(pool: PostgresPool, readonly fail: (attempt: number) => string | undefined = () => undefined) {
    super(pool);
  }

  whoAmI(options?: LeaseOptions) {
    return this.withPooledClient(async (connection) => {
      const { rows } = await connection.query("select current_user as role, auth.uid() as uid");
      return rows[0];
    }, options);
  }

  /** Fails with the SQLSTATE that `fail` returns. */
  write(idempotent = false) {
    return this.withRetry((connection) => connection.transaction((tx) => this.#write(tx)), 3, 1, { idempotent });
  }

  breakOnce() {
    return this.withIdempotentRetry(async (connection) => {
      if (++this.attempts === 1) await connection.query("select pg_terminate_backend(pg_backend_pid())");
      return (await connection.query("select 1 as n")).rows;
    });
  }

  breakOnceWrite() {
    return this.withRetry(
      (connection) => {
        this.attempts++;
        return connection.query("select pg_sleep(0.01), pg_terminate_backend(pg_backend_pid())");
      },
      3,
      1,
    );
  }

  /** Loses its connection in the first attempt, which was certainly rolled back. */
  loseOnce(terminate: () => Promise<void>) {
    return this.withRetry(
      async (connection) => {
        if (++this.attempts > 1) return "retried";
        await Promise.all([connection.query("select pg_sleep(5)"), terminate()]);
        return "not lost";
      },
      3,
      1,
    );
  }

  slow(deadlineMs: number) {
    return this.withRetry((connection) => connection.query("select pg_sleep(10)"), 3, 1, { deadlineMs });
  }

  async #write(tx: Transaction) {
    this.attempts++;
    const code = this.fail(this.attempts);
    const text = "do $$ begin raise sqlstate '" + code + "'; end $$";
    if (code) await tx.query(text);
    const { rows } = await tx.query("select auth.uid() as uid");
    return rows;
  }
}

Deno.test("PooledPostgresService", async (t) => {
  await using database = await TestDatabase.start();
  const manager = database.manager({ maxConnections: 2, retryDelayMs: 1 }, "authenticator");
  const pool = manager.as(claimsOf(USER));

  await t.step("withPooledClient() leases a connection as the caller, and releases it", async () => {
    assertEquals(await new NoteService(pool).whoAmI(), { role: "authenticated", uid: USER });
    assertEquals(await new NoteService(manager.as("anonymous")).whoAmI(), { role: "anon", uid: null });
    assertEquals(manager.getStats().activeConnections, 0);
  });

  await t.step("withPooledClient() leases the probe slot while all connections are leased", async () => {
    await using _one = await manager.lease();
    await using _two = await manager.lease();
    assertEquals(await new NoteService(pool).whoAmI({ lane: "probe" }), { role: "authenticated", uid: USER });
  });

  await t.step("withRetry() bounds the attempts of a transaction that keeps conflicting", async () => {
    const service = new NoteService(pool, () => "40001");
    assertEquals((await thrownBy(() => service.write(), PostgresError)).code, "40001");
    assertEquals(service.attempts, 4);
  });

  await t.step("withRetry() succeeds after serialization failures and deadlocks", async () => {
    const service = new NoteService(pool, (attempt) => ["40001", "40P01"][attempt - 1]);
    assertEquals(await service.write(), [{ uid: USER }]);
    assertEquals(service.attempts, 3);
  });

  await t.step("withRetry() does not retry permanent failures", async () => {
    const service = new NoteService(pool, () => "P0001");
    await thrownBy(() => service.write(), PostgresError);
    assertEquals(service.attempts, 1);
  });

  await t.step("withRetry() retries a lost connection only if the operation is idempotent", async () => {
    const superuser = database.manager({ retryDelayMs: 1 });
    const service = new NoteService(superuser);
    assertEquals(await service.breakOnce(), [{ n: 1 }]);
    assertEquals(service.attempts, 2);
    const other = new NoteService(superuser);
    const error = await assertRejects(() => other.breakOnceWrite(), Error);
    assertEquals(error instanceof ConnectionLostError || error instanceof PostgresError, true);
    assertEquals(other.attempts, 1);
  });

  await t.step("withRetry() retries a statement of a caller that was certainly rolled back", async () => {
    const admin = database.manager();
    const text = "select pg_terminate_backend(pid) from pg_stat_activity " +
      "where query like '%pg_sleep(5)%' and state = 'active' and pid <> pg_backend_pid()";
    const terminate = async () => {
      await until("the statement runs and is terminated", async () => (await admin.query(text)).rowCount !== 0);
    };
    assertEquals(await new NoteService(pool).loseOnce(terminate), "retried");
  });

  await t.step("withRetry() cancels the statement that runs at the deadline, and releases its connection", async () => {
    const error = await thrownBy(() => new NoteService(pool).slow(100), Error);
    assertEquals((error as Error & { code: string }).code, "RETRY_TIMEOUT");
    for (let wait = 0; manager.getStats().activeConnections > 0 && wait < 1_500; wait++) {
      await new Promise((resolve) => setTimeout(resolve, 20));
    }
    const { rows } = await database.manager().query(
      "select 1 from pg_stat_activity where query like '%sleep(10)%'" +
        " and state = 'active' and pid <> pg_backend_pid()",
    );
    assertEquals(rows, []);
    assertEquals(manager.getStats().activeConnections, 0);
  });

  await t.step("healthCheck() and getPoolStats() are those of the pool", async () => {
    const service = new NoteService(pool);
    assertEquals((await service.healthCheck()).healthy, true);
    assertEquals(service.getPoolStats(), manager.getStats());
    assertEquals(service.getPoolStats().transactions.rolledBack > 0, true);
  });
});
