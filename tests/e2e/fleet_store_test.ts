import { assert, assertEquals, assertRejects } from "@std/assert";
import postgres from "postgres";
import { DataApiFleetStore, FleetStoreError } from "../../shared/observability/fleet/mod.ts";
import { reportOf } from "../observability/fleet/reports.ts";
import { testStore } from "../observability/fleet/store_contract.ts";
import { signUp, useStack } from "./support.ts";

const stack = useStack();

Deno.test("DataApiFleetStore", async (t) => {
  const { url, secretKey, publishableKey, dbUrl, restUrl } = stack();
  const sql = postgres(dbUrl, { max: 2, onnotice: () => {} });
  const store = new DataApiFleetStore({ url, key: secretKey });
  await testStore(t, {
    store,
    clear: async () => {
      await sql`truncate pool.fleet_isolates, pool.fleet_samples, pool.fleet_alerts`;
      await sql`update pool.fleet_turn set evaluated_ms = 0`;
    },
    age: async (isolate, ageMs) => {
      await sql`update pool.fleet_isolates set reported_ms = pool.fleet_now() - ${ageMs} where isolate = ${isolate}`;
    },
    endPause: async () => void await sql`update pool.fleet_turn set evaluated_ms = 0`,
    addLaterSample: async (ms) => {
      await sql`insert into pool.fleet_samples values (pool.fleet_now() + ${ms}, 'later', 0, 0, 1, 0, 0, 0)`;
    },
  });

  const user = await signUp(stack(), "fleet-reader");
  const callers = {
    anon: { apikey: publishableKey },
    authenticated: { apikey: publishableKey, authorization: `Bearer ${user.token}` },
  };
  const send = (path: string, credentials: Record<string, string>, body: unknown, schema = "public") =>
    fetch(`${restUrl}/${path}`, {
      method: "POST",
      headers: { "content-type": "application/json", "content-profile": schema, ...credentials },
      body: JSON.stringify(body),
    });

  for (const [role, credentials] of Object.entries(callers)) {
    await t.step(`rejects ${role}, who can neither report nor read`, async () => {
      const attempts = [
        ["rpc/pool_fleet_report", { p_message: { report: reportOf("intruder") } }],
        ["rpc/pool_fleet_report", { p_message: { remove: "a" } }],
        ["rpc/pool_fleet_read", { p_options: {} }],
        ["rpc/pool_fleet_read", {}],
      ] as const;
      for (const [path, body] of attempts) {
        const response = await send(path, credentials, body);
        const text = await response.text();
        assert([401, 403, 404].includes(response.status), `${path}: ${response.status} ${text}`);
        assert(!text.includes("nowMs"), text);
      }
      const [{ count = 0 } = {}] = await sql`select count(*)::int from pool.fleet_isolates where isolate = 'intruder'`;
      assertEquals(count, 0);
    });
  }

  await t.step("exposes its tables and helpers to no caller, the secret key included", async () => {
    for (const credentials of [...Object.values(callers), { apikey: secretKey }]) {
      for (const schema of ["public", "pool"]) {
        for (const path of ["fleet_isolates", "fleet_alerts", "rpc/fleet_now", "rpc/fleet_alert_states"]) {
          const response = await send(path, credentials, {}, schema);
          await response.body?.cancel();
          assert([401, 403, 404, 406].includes(response.status), `${schema} ${path}: ${response.status}`);
        }
      }
    }
  });

  await t.step("lets no role but service_role execute its functions, in Postgres itself", async () => {
    for (const role of ["anon", "authenticated", "authenticator"]) {
      for (const call of ["public.pool_fleet_report('{}')", "public.pool_fleet_read()", "pool.fleet_alert_states()"]) {
        const attempt = sql.begin(async (transaction) => {
          await transaction.unsafe(`set local role ${role}`);
          await transaction.unsafe(`select ${call}`);
        });
        await assertRejects(() => attempt, Error, "permission denied", `${role} ${call}`);
      }
    }
    for (const statement of ["select * from pool.fleet_isolates", "select pool.fleet_now()"]) {
      const attempt = sql.begin(async (transaction) => {
        await transaction.unsafe("set local role service_role");
        await transaction.unsafe(statement);
      });
      await assertRejects(() => attempt, Error, "permission denied", statement);
    }
  });

  await t.step("takes any JSON as a message without failing", async () => {
    for (const message of [null, 7, "text", [], {}, { report: 7 }, { report: {} }, { changes: [7, null, {}] }]) {
      const response = await send("rpc/pool_fleet_report", { apikey: secretKey }, { p_message: message });
      const text = await response.text();
      assert(response.ok || response.status === 400, `${JSON.stringify(message)}: ${response.status} ${text}`);
    }
    assert((await store.read("full")).isolates.length >= 0);
  });

  await t.step("says what is missing: the migration, parts of an older version, the right key", async () => {
    const foreign = new DataApiFleetStore({ url, key: publishableKey });
    assert(
      ["refused", "missing"].includes((await assertRejects(() => foreign.read("totals"), FleetStoreError)).failure),
    );
    await sql`alter function public.pool_fleet_read(jsonb) rename to pool_fleet_read_away`;
    const missing = await assertRejects(() => store.read("totals"), FleetStoreError, "does not exist");
    assertEquals(missing.failure, "missing");
    await sql.unsafe(
      "create function public.pool_fleet_read(p_options jsonb) returns jsonb language sql as " +
        `$$ select '{"version": 0, "isolates": [{"isolate": "old"}]}'::jsonb $$`,
    );
    const old = await store.read("full");
    assertEquals(old.isolates.map(({ isolate, stats }) => [isolate, stats.activeConnections]), [["old", 0]]);
    assertEquals(old.missing, [
      "the store has version 0, this isolate expects 1",
      "samples: the store does not have them; apply its newest migration",
      "alerts: the store does not have them; apply its newest migration",
    ]);
  });
  await sql.end();
});
