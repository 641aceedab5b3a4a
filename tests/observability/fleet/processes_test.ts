import { assert, assertEquals } from "@std/assert";
import { RedisConnection } from "../../../shared/cache/mod.ts";
import { RedisFleetStore, totalsOf } from "../../../shared/observability/fleet/mod.ts";
import { denoArgs } from "../../support/deno_process.ts";
import { redisServer, TestRedis } from "../../support/redis.ts";
import { until } from "../../support/until.ts";

/** The number of isolates: 8 with `FLEET_ISOLATES=8`. */
const ISOLATES = Number(Deno.env.get("FLEET_ISOLATES") ?? 3);
/** The number of isolates that are killed. */
const KILLED = 2;
const CALLERS = 6;
const CAP = 2 * ISOLATES;

class Isolate {
  readonly #process: Deno.ChildProcess;

  constructor(redisUrl: string) {
    this.#process = new Deno.Command(Deno.execPath(), {
      args: [
        ...["run", "-A", "--no-check", ...denoArgs(), new URL("isolate.ts", import.meta.url).pathname],
        ...[redisUrl, String(CAP), String(CALLERS)],
      ],
      stdin: "null",
      stdout: "null",
      stderr: "inherit",
    }).spawn();
  }

  async kill(): Promise<void> {
    try {
      this.#process.kill("SIGKILL");
    } catch {
      // It was killed before.
    }
    await this.#process.status;
  }
}

Deno.test({
  name: `${ISOLATES} isolates in processes of their own: totals are right, and the cap holds, after two are killed` +
    redisServer.note,
  ignore: redisServer.ignore,
  fn: async () => {
    await using server = await TestRedis.start();
    using redis = new RedisConnection({ url: server.url, commandTimeoutMs: 20_000, connectTimeoutMs: 20_000 });
    const store = new RedisFleetStore({ redis, project: "ref.supabase.co", dropMs: 3_000 });
    const isolates = Array.from({ length: ISOLATES }, () => new Isolate(server.url));
    await using _all = { [Symbol.asyncDispose]: async () => void await Promise.all(isolates.map((one) => one.kill())) };
    const read = async () => (await store.read("totals")).isolates;
    await until("all isolates report", async () => (await read()).length === ISOLATES);

    const shares = async () => {
      const values = (await server.cli("hvals", "pool:cap:{ref.supabase.co}:shares")).split("\n");
      return values.map(Number);
    };
    const sum = (numbers: readonly number[]) => numbers.reduce((total, number) => total + number, 0);
    await until("the isolates share the cap", async () => {
      const all = await shares();
      return all.length === ISOLATES && sum(all) === CAP;
    });
    const watch = async (forMs: number) => {
      for (const end = Date.now() + forMs; Date.now() < end;) {
        assert(sum(await shares()) <= CAP, `${await shares()}`);
        await new Promise((resolve) => setTimeout(resolve, 50));
      }
    };
    await watch(1_000);
    await until("every lease of the cap is in use at some time", async () => {
      const { stats } = totalsOf(await read());
      assert(stats.activeConnections <= CAP, `${stats.activeConnections} leases`);
      return stats.activeConnections >= CAP - 1 && stats.waitingForConnection > 0;
    });

    const before = await read();
    await Promise.all(isolates.slice(0, KILLED).map((isolate) => isolate.kill()));
    const killedAt = Date.now();
    await until("the totals leave the killed isolates out", async () => (await read()).length === ISOLATES - KILLED);
    assert(Date.now() - killedAt < 30_000);
    const after = await read();
    const ids = new Set(before.map(({ isolate }) => isolate));
    assert(after.every(({ isolate }) => ids.has(isolate)));
    assertEquals(totalsOf(after).isolates, ISOLATES - KILLED);
    await until(
      "the shares of the killed isolates are free",
      async () => (await shares()).length === ISOLATES - KILLED,
    );
    await watch(1_000);
  },
});
