import { assertEquals, assertRejects } from "@std/assert";
import { PooledPostgresService } from "../../shared/http/postgres.ts";
import type { PostgresPool } from "../../shared/postgres/mod.ts";
import { RetryBudget } from "../../shared/resilience/mod.ts";

/** A pool whose leases fail with a SQLSTATE. */
function failingPool(code: string, retryBudget: RetryBudget | undefined): PostgresPool {
  const lease = () => Promise.reject(Object.assign(new Error("fails"), { code }));
  const config = { retries: true, maxRetries: 3, retryDelayMs: 1 };
  return { config, lease, retryBudget } as unknown as PostgresPool;
}

class Service extends PooledPostgresService {
  attempts = 0;

  constructor(pool: PostgresPool) {
    super({ ...pool, lease: (options) => (this.attempts++, pool.lease(options)) });
  }

  /** Returns the number of attempts of an operation that fails. */
  async fail(): Promise<number> {
    const before = this.attempts;
    await assertRejects(() => this.withRetry(() => {}, 3, 0), Error, "fails");
    return this.attempts - before;
  }
}

Deno.test("PooledPostgresService.withRetry() draws on the retry budget of its pool", async () => {
  const budget = new RetryBudget({ ratio: 0, reserve: 4 });
  const service = new Service(failingPool("57P03", budget));
  assertEquals([await service.fail(), await service.fail(), await service.fail()], [4, 2, 1]);
  assertEquals(budget.getStats(), { requests: 3, retries: 4, refused: 2 });
  const unbounded = new Service(failingPool("57P03", undefined));
  assertEquals([await unbounded.fail(), await unbounded.fail()], [4, 4]);
});

Deno.test("PooledPostgresService.withRetry() retries conflicts though the budget is used up", async () => {
  const budget = new RetryBudget({ ratio: 0, reserve: 0 });
  for (const code of ["40001", "40P01"]) {
    assertEquals(await new Service(failingPool(code, budget)).fail(), 4);
  }
  assertEquals(budget.getStats().refused, 0);
});
