import { assert, assertEquals, assertInstanceOf } from "@std/assert";
import { PoolerDetector } from "../../../shared/postgres/connection/pooler.ts";
import {
  PoolerError,
  type PostgresConfig,
  PostgresConnectionManager,
  QueryTimeoutError,
  readPostgresEnvironment,
} from "../../../shared/postgres/mod.ts";
import { component } from "../../support/components.ts";
import { TcpProxy } from "../../support/tcp_proxy.ts";
import { pause, useEverySlot } from "../chaos/rig.ts";
import { claimsOf, type Login, thrownBy } from "../support.ts";
import { Money } from "../transfers/money.ts";
import { PgBouncer, POOL_SIZE } from "./pgbouncer.ts";
import { WireTap } from "./wire_tap.ts";
import { TransferService } from "../../../functions/_app/transfer_service.ts";

const pgbouncer = component("pgbouncer");

Deno.test("PoolerDetector knows a pooler by Supavisor's port or by poolMode, without a query", () => {
  const supavisor = "aws-0-eu-central-1.pooler.supabase.com";
  const modes = [
    [{ poolMode: "auto", host: "localhost", port: 6543 }, "transaction"],
    [{ poolMode: "transaction", host: "localhost", port: 5432 }, "transaction"],
    [{ poolMode: "session", host: "localhost", port: 6543 }, "session"],
    [{ poolMode: "auto", host: "localhost", port: 5432 }, undefined],
    [{ poolMode: "auto", host: supavisor, port: 5432 }, "session"],
    [{ poolMode: "auto", host: supavisor, port: 6543 }, "transaction"],
    [{ poolMode: "transaction", host: supavisor, port: 5432 }, "transaction"],
    [{ poolMode: "auto", host: `${supavisor}.example.com`, port: 5432 }, undefined],
  ] as const;
  for (const [config, mode] of modes) assertEquals(new PoolerDetector(config).mode, mode);
  const url = `postgresql://postgres.ref:x@${supavisor}:5432/postgres?pgbouncer=true`;
  assertEquals(readPostgresEnvironment({ SUPABASE_DB_URL: url }).config.poolMode, "transaction");
});

Deno.test({
  name: `PostgresConnectionManager behind PgBouncer in transaction mode${pgbouncer.note}`,
  ignore: pgbouncer.ignore,
  async fn(t) {
    await using money = await Money.start();
    await using bouncer = await PgBouncer.start(money.database);
    const { host = "", port = 0 } = bouncer.options();
    await using proxy = await TcpProxy.start({ host, port });
    await using open = new AsyncDisposableStack();
    const manager = (config: Partial<PostgresConfig> = {}, login: Login = "superuser") =>
      open.use(
        new PostgresConnectionManager({
          ...bouncer.options(login),
          port: proxy.port,
          minConnections: 0,
          maxConnections: 8,
          healthCheckIntervalMs: 0,
          shutdownTimeoutMs: 0,
          ...config,
        }),
      );

    await t.step("PoolerDetector detects a pooler by a query", async () => {
      const tap = new WireTap(proxy);
      const found = manager();
      await useEverySlot(found);
      assertEquals(found.getStats().poolMode, "transaction");
      assertEquals([...tap.texts], ["SELECT pg_backend_pid() AS pid", "select 1"]);
      const direct = money.database.manager();
      await direct.query("select 1");
      assertEquals(direct.getStats().poolMode, "session");
    });

    await t.step("PoolerDetector sends no query when poolMode is set", async () => {
      const tap = new WireTap(proxy);
      const declared = manager({ poolMode: "transaction" });
      await useEverySlot(declared);
      assertEquals([...tap.texts], ["select 1"]);
    });

    await t.step("query() prepares nothing and sets nothing for longer than a transaction", async () => {
      const tap = new WireTap(proxy);
      const plain = manager();
      const login = manager({}, "authenticator");
      const user = login.as(claimsOf(crypto.randomUUID()));
      for (let round = 0; round < 3; round++) {
        await Promise.all(Array.from({ length: 30 }, (_, n) => plain.query("select $1::int as n", [n])));
        await Promise.all(Array.from({ length: 10 }, () => user.query("select auth.uid()")));
        await plain.transaction(async (tx) => {
          await tx.query("select 1");
          await tx.transaction(async (nested) => void await nested.query("select 2"));
        }, { isolationLevel: "serializable", statementTimeoutMs: 1_000 });
        await user.transaction([{ query: "select 1" }, { query: "select 2" }], { readOnly: true });
      }
      assertEquals([...tap.statementNames], []);
      const lasting = [...tap.texts].filter((text) => /^\s*(set|reset|discard|listen|prepare|declare)\b/i.test(text));
      assertEquals(lasting, []);
      for (const text of tap.texts) {
        for (const [, isLocal] of text.matchAll(/set_config\([^)]*,\s*(\w+)\)/g)) assertEquals(isLocal, "true", text);
      }
      // The watch sees what there is to see: without a pooler statements are prepared.
      const unaware = manager({ poolMode: "session", maxConnections: 1 });
      await unaware.query("select $1::int as n", [1]);
      assertEquals(tap.statementNames.size, 1);
    });

    await t.step(
      "as().query() serves more clients than the server has connections, each with its own claims",
      async () => {
        const login = manager({ maxConnections: 12 }, "authenticator");
        const users = Array.from({ length: 12 }, () => crypto.randomUUID());
        const seen = await Promise.all(Array.from({ length: 360 }, async (_, index) => {
          const id = users[index % users.length] ?? "";
          const queries = login.as(claimsOf(id));
          const text = "select auth.uid()::text as id, current_user::text as role, $1::int as n";
          const { rows } = index % 3 === 0
            ? await queries.transaction((tx) => tx.query(text, [index]))
            : await queries.query(text, [index]);
          assertEquals(rows, [{ id, role: "authenticated", n: index }]);
          const plain = await login.query(
            "select current_user::text as role, current_setting('request.jwt.claims', true) as claims",
          );
          return plain.rows[0];
        }));
        for (const row of seen) {
          assertEquals(row?.["role"], "authenticator");
          assert(!row?.["claims"], "claims outlived their transaction");
        }
        const { rows: [backends] } = await money.auditor.query<{ n: number }>(
          "select count(*)::int as n from pg_stat_activity where usename = 'authenticator'",
        );
        assert((backends?.n ?? 99) <= POOL_SIZE, `${backends?.n} connections of the server`);
      },
    );

    await t.step("query() cancels its own statement at the server, and no other client's", async () => {
      const own = manager({ cancelTimeoutMs: 5_000 });
      const others = manager();
      const slow = own.query("select pg_sleep(20) as slow", [], { timeoutMs: 100 });
      const beside = Array.from({ length: 20 }, () => others.query("select pg_sleep(0.02), 1 as n"));
      await thrownBy(() => slow, QueryTimeoutError);
      for (const { rows } of await Promise.all(beside)) assertEquals(rows[0]?.["n"], 1);
      const running =
        "select count(*)::int as n from pg_stat_activity where query like '%as slow' and state = 'active'" +
        " and pid <> pg_backend_pid()";
      const { rows } = await money.auditor.query(running);
      assertEquals(rows, [{ n: 0 }]);
      await useEverySlot(own);
    });

    await t.step("TransferService.transfer() loses no cent in 400 races and a crash of the pooler", async () => {
      const login = manager({ acquireTimeoutMs: 60_000 }, "authenticator");
      const owner = await money.owner(1_000_000, 0, 0, 0);
      const service = new TransferService(login.as(owner.claims), { retryDelayMs: 10, retries: 20 });
      const expected = [1_000_000, 0, 0, 0];
      let left = 400;
      const work = async () => {
        for (let index = left--; index > 0; index = left--) {
          const [from, to, amount] = [0, 1 + index % 3, 1 + index % 9];
          const [fromCategoryId = "", toCategoryId = ""] = [owner.categoryIds[from], owner.categoryIds[to]];
          await service.transfer({ fromCategoryId, toCategoryId, amount, idempotencyKey: `order-${index}` });
          expected[from] = (expected[from] ?? 0) - amount;
          expected[to] = (expected[to] ?? 0) + amount;
          if (index === 200) void crash();
        }
      };
      const crashed = Promise.withResolvers<void>();
      const crash = async () => {
        await bouncer.kill();
        await pause(100);
        await bouncer.restart();
        crashed.resolve();
      };
      await Promise.all(Array.from({ length: 8 }, work));
      await crashed.promise;
      assertEquals(await money.balances(owner.categoryIds), expected);
      assertEquals(await money.transfers(owner.budgetId), 400);
      await useEverySlot(login);
    });

    await t.step("executeQueryWithRetry() retries errors of the pooler until Postgres is back", async () => {
      const declared = manager({ poolMode: "transaction" });
      const fresh = manager({ acquireTimeoutMs: 60_000 });
      await declared.query("select 1");
      await money.database.server.kill();
      let said: unknown;
      for (let turn = 0; turn < 50 && !(said instanceof PoolerError); turn++) {
        // At first it lets clients wait.
        said = await declared.query("select 1", [], { timeoutMs: 300 }).catch((error) => error);
      }
      assertInstanceOf(said, PoolerError);
      assertEquals(said.code, "POOLER_UNAVAILABLE");
      const retried = declared.executeQueryWithRetry("select 1 as n", [], 100, 50);
      const connecting = fresh.query("select 1 as n");
      await pause(300);
      await money.database.server.start();
      const started = performance.now();
      for (const { rows } of await Promise.all([retried, connecting])) assertEquals(rows, [{ n: 1 }]);
      // It looks once a second itself.
      assert(performance.now() - started < 20_000, `it took ${performance.now() - started} ms`);
    });
  },
});
