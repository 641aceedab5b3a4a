import { assertEquals, assertRejects } from "@std/assert";
import { RedisConnection } from "../../../shared/cache/mod.ts";
import { FleetStoreError, RedisFleetStore } from "../../../shared/observability/fleet/mod.ts";
import { redisServer, TestRedis } from "../../support/redis.ts";
import { reportOf } from "./reports.ts";
import { testStore } from "./store_contract.ts";

const PREFIX = "pool:fleet:{ref.supabase.co}:";

Deno.test({
  name: `RedisFleetStore${redisServer.note}`,
  ignore: redisServer.ignore,
  fn: async (t) => {
    await using server = await TestRedis.start();
    using redis = new RedisConnection({ url: server.url, commandTimeoutMs: 20_000, connectTimeoutMs: 20_000 });
    const store = new RedisFleetStore({ redis, project: "ref.supabase.co" });
    await testStore(t, {
      store,
      clear: async () => void await server.cli("flushall"),
      age: async (isolate, ageMs) => {
        await server.cli("zadd", `${PREFIX}seen`, String(Date.now() - ageMs), isolate);
      },
      endPause: async () => void await server.cli("del", `${PREFIX}turn`),
      addLaterSample: async (ms) => {
        const atMs = Date.now() + ms;
        const rest = { waiting: 0, active: 0, limit: 1, acquisitionMs: 0, calls: 0, errors: 0 };
        const sample = JSON.stringify({ atMs, function: "later", ...rest });
        await server.cli("hset", `${PREFIX}samples`, `${atMs} later`, sample);
        await server.cli("zadd", `${PREFIX}index`, String(atMs), `${atMs} later`);
      },
    });

    await t.step("keeps projects apart, and forgets a fleet after a day", async () => {
      await server.cli("flushall");
      const other = new RedisFleetStore({ redis, project: "other.supabase.co", dropMs: 10 });
      await store.report(reportOf("a"));
      assertEquals((await other.read("totals")).isolates, []);
      for (const key of (await server.cli("keys", "*")).split("\n")) {
        const ttl = Number(await server.cli("pttl", key));
        assertEquals([key, ttl > 80_000_000 && ttl <= 86_400_000], [key, true]);
      }
    });

    await t.step("leaves out what is not JSON, and forgets alerts that were cleared a day ago", async () => {
      await server.cli("flushall");
      await store.report(reportOf("a"));
      await server.cli("hset", `${PREFIX}reports`, "odd", "{");
      await server.cli("zadd", `${PREFIX}seen`, String(Date.now()), "odd");
      assertEquals((await store.read("full")).isolates.map(({ isolate }) => isolate).sort(), ["a", "unknown"]);
      const state = { rule: "errors", function: "budgets", raised: false, sinceMs: Date.now() - 90_000_000, value: 1 };
      const states = { old: state, recent: { ...state, sinceMs: Date.now() }, raised: { ...state, raised: true } };
      for (const [name, alert] of Object.entries({ ...states, odd: "{" })) {
        await server.cli("hset", `${PREFIX}alerts`, name, typeof alert === "string" ? alert : JSON.stringify(alert));
      }
      await server.cli("del", `${PREFIX}turn`);
      await store.report(reportOf("a"));
      assertEquals((await server.cli("hkeys", `${PREFIX}alerts`)).split("\n").sort(), ["raised", "recent"]);
    });

    await t.step("rejects with FleetStoreError for a reply that is not one of its scripts", async () => {
      for (const reply of ["PONG", null, [], [7], {}]) {
        const odd = new RedisFleetStore({ redis: { send: () => Promise.resolve([reply]) }, project: "x" });
        for (const call of [() => odd.report(reportOf("a")), () => odd.changeAlerts([{} as never])]) {
          if (Array.isArray(reply) && reply.length > 0 && call.toString().includes("change")) continue;
          assertEquals((await assertRejects(call, FleetStoreError)).failure, "unavailable");
        }
      }
      const odd = new RedisFleetStore({ redis: { send: () => Promise.resolve(["OK"]) }, project: "x" });
      assertEquals((await assertRejects(() => odd.read("full"), FleetStoreError)).failure, "unavailable");
    });

    await t.step("rejects with FleetStoreError for an error of Redis, and without a server", async () => {
      await server.cli("set", `${PREFIX}reports`, "not a hash");
      const wrong = await assertRejects(() => store.report(reportOf("a")), FleetStoreError, "WRONGTYPE");
      assertEquals([wrong.failure, wrong.code], ["unavailable", "FLEET_UNAVAILABLE"]);
      await server.kill();
      const down = await assertRejects(() => store.read("totals"), FleetStoreError);
      assertEquals(down.failure, "unavailable");
    });
  },
});
