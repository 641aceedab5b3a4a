import { assert, assertEquals, assertStrictEquals } from "@std/assert";
import { AcquireTimeoutError } from "../../shared/pool/mod.ts";
import { pause, until } from "./chaos/rig.ts";
import { TestDatabase, thrownBy } from "./support.ts";

const RUNNING = "select from pg_stat_activity where usename = 'authenticator' and wait_event = 'PgSleep'";

Deno.test("manager.as() with WorkOptions", async (t) => {
  await using database = await TestDatabase.start();
  const admin = database.manager();
  const manager = database.manager({ maxConnections: 1 }, "authenticator");

  await t.step("signal aborts all work of the caller, beside the signals of single calls", async () => {
    // So that none of them waits for the connection to be made.
    await manager.as("anonymous").query("select 1");
    const kinds = ["query", "function", "list"] as const;
    for (const kind of kinds) {
      for (const whose of ["work", "own"] as const) {
        const abort = { work: new AbortController(), own: new AbortController() };
        const queries = manager.as("anonymous", { signal: abort.work.signal });
        const options = { signal: abort.own.signal };
        const run = () => {
          if (kind === "query") return queries.query("select pg_sleep(20)", [], options);
          if (kind === "list") return queries.transaction([{ query: "select pg_sleep(20)" }], options);
          return queries.transaction((tx) => tx.query("select pg_sleep(20)"), options);
        };
        const reason = new RangeError(whose);
        const outcome = thrownBy(run, RangeError);
        await until("it runs", async () => (await admin.query(RUNNING)).rows.length === 1);
        abort[whose].abort(reason);
        assertStrictEquals(await outcome, reason);
        assertStrictEquals(await thrownBy(run, RangeError), reason);
      }
    }
    assertEquals((await manager.as("anonymous").query("select 1 as n")).rows, [{ n: 1 }]);
    assertEquals(manager.getStats().totalCreated, 1);
  });

  await t.step("onWaited is called with each wait, successful or not", async () => {
    const waits: number[] = [];
    const queries = manager.as("anonymous", { onWaited: (waitedMs) => waits.push(waitedMs) });
    const held = await manager.lease();
    await thrownBy(() => queries.query("select 1", [], { acquireTimeoutMs: 30 }), AcquireTimeoutError);
    const waiting = queries.transaction(async (tx) => void await tx.query("select 1"));
    await pause(30);
    held.release();
    await waiting;
    await queries.transaction([{ query: "select 1" }]);
    assertEquals(waits.length, 3);
    const [vain = 0, some = 0, none = NaN] = waits;
    assert(vain >= 25 && some >= 25 && none < some, String(waits));
  });
});
