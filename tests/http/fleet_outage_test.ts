import { assert, assertEquals } from "@std/assert";
import { RedisConnection } from "../../shared/cache/mod.ts";
import { createRequestHandler } from "../../shared/http/handler/request_handler.ts";
import { RedisFleetStore } from "../../shared/observability/fleet/mod.ts";
import { SupabaseService } from "../../shared/services/mod.ts";
import { readEnvironment } from "../support/http.ts";
import { redisServer, TestRedis } from "../support/redis.ts";
import { until } from "../support/until.ts";
import { VARIABLES } from "./fake_pools.ts";

const CAP = 6;
/** The shares outlive the pauses of a loaded machine. */
const LEASE_MS = 2_000;

/** A handler of an isolate of its own under load, whose requests each lease a slot for 10 ms. */
class LoadedIsolate implements AsyncDisposable {
  readonly service: SupabaseService<unknown>;
  readonly #callers: Promise<void>[];
  readonly #redis: RedisConnection;
  #isOver = false;
  served = 0;

  constructor(id: string, url: string) {
    const keys = JSON.stringify({ default: `sb_publishable_${id}` });
    const variables = { ...VARIABLES, SUPABASE_PUBLISHABLE_KEYS: keys, SB_EXECUTION_ID: id };
    this.service = new SupabaseService(readEnvironment(variables));
    const redis = this.#redis = new RedisConnection({ url, commandTimeoutMs: 1_000, connectTimeoutMs: 1_000 });
    const handle = createRequestHandler<unknown>({
      auth: "none",
      variables,
      service: this.service,
      // The longest wait of a loaded machine is no failure.
      pool: { acquireTimeoutMs: 60_000 },
      fleet: { redis, cap: CAP, leaseMs: LEASE_MS, intervalMs: 50, idleIntervalMs: 50 },
      log: () => {},
    });
    this.#callers = Array.from({ length: 8 }, async () => {
      while (!this.#isOver) {
        const response = await handle(new Request("https://x.test/budgets"), async (_request, { pool }) => {
          await using _lease = await pool.lease({ timeoutMs: 60_000 });
          await new Promise((resolve) => setTimeout(resolve, 10));
          return new Response("ok");
        });
        assertEquals([response.status, await response.text()], [200, "ok"]);
        this.served++;
      }
    });
  }

  /** The leases that are out. */
  get active(): number {
    return this.service.getConnectionPool().getStats().activeConnections;
  }

  /** The leases that may be out. */
  get limit(): number {
    return this.service.getConnectionPool().limits.maxConnections;
  }

  async [Symbol.asyncDispose](): Promise<void> {
    this.#isOver = true;
    await Promise.all(this.#callers);
    this.#redis.close();
    await this.service.shutdown(0);
  }
}

Deno.test({
  name:
    `withPooledSupabase serves under load while Redis hangs, is killed, and comes back without data; the cap holds${redisServer.note}`,
  ignore: redisServer.ignore,
  // The timers of a link go on until its isolate ends.
  sanitizeOps: false,
  sanitizeResources: false,
  fn: async () => {
    await using server = await TestRedis.start();
    await using a = new LoadedIsolate("a", server.url);
    await using b = new LoadedIsolate("b", server.url);
    using redis = new RedisConnection({ url: server.url, commandTimeoutMs: 20_000, connectTimeoutMs: 20_000 });
    const store = new RedisFleetStore({ redis, project: "project.supabase.co" });
    const share = (what: string) => until(what, () => a.limit === CAP / 2 && b.limit === CAP / 2);
    // The first had all of it when the second began with one.
    await share("both have an equal part");
    let exceeded = 0;
    const watch = setInterval(() => {
      if (a.active + b.active > CAP) exceeded++;
    }, 5);
    const works = async (what: string) => {
      const before = [a.served, b.served];
      await until(`both serve ${what}`, () => a.served > (before[0] ?? 0) + 20 && b.served > (before[1] ?? 0) + 20);
    };
    try {
      await works("with Redis");
      server.stop();
      await works("while Redis hangs");
      await new Promise((resolve) => setTimeout(resolve, 1.5 * LEASE_MS));
      assertEquals([a.limit, b.limit], [CAP / 2, CAP / 2], "an equal part is kept");
      server.resume();
      await server.kill();
      await works("without Redis");
      await server.restart();
      await share("both have an equal part again");
      await works("with Redis again");
      await until("both report again", async () => {
        const { isolates } = await store.read("totals");
        return isolates.filter(({ ageMs }) => ageMs < 1_000).length === 2;
      });
    } finally {
      clearInterval(watch);
    }
    // A lease that is out when a share becomes smaller ends as it would.
    assert(exceeded <= 5, `the cap was exceeded at ${exceeded} instants`);
  },
});
