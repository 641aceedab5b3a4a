import { assert, assertEquals, assertFalse, assertInstanceOf, assertRejects, assertStrictEquals } from "@std/assert";
import { AcquireTimeoutError, LeaseReleasedError } from "../../shared/pool/mod.ts";
import { RequestTimeoutError } from "../../shared/supabase/mod.ts";
import {
  type ClientOperation,
  PooledBaseService,
  ServiceError,
  type WithRetryOptions,
} from "../../shared/services/mod.ts";
import { FakeClock, settle } from "../support/fake_clock.ts";
import { apiError, startDataApi } from "./data_api.ts";
import { until } from "../support/until.ts";

/** Exposes the protected methods. */
class TestService extends PooledBaseService {
  // deno-lint-ignore no-explicit-any -- the rows of a test have no schema
  run<T>(operation: ClientOperation<any, T>): Promise<T> {
    return this.withPooledClient(operation);
  }

  retry<T>(
    // deno-lint-ignore no-explicit-any -- the rows of a test have no schema
    operation: ClientOperation<any, T>,
    maxRetries?: number,
    delayMs?: number,
    options?: WithRetryOptions,
  ): Promise<T> {
    return this.withRetry(operation, maxRetries, delayMs, options);
  }

  fail(failure: unknown): never {
    this.handleError(failure);
  }
}

const UNAVAILABLE = () => apiError(503, "PGRST000", "no database");

Deno.test("PooledBaseService.withPooledClient() returns the result of the operation, its error included", async () => {
  await using api = startDataApi((call) => call.path.endsWith("/good") ? Response.json([1]) : apiError(400, "22P02"));
  const service = new TestService(api.pool);
  assertEquals((await service.run((client) => client.from("good").select())).data, [1]);
  assertEquals((await service.run((client) => client.from("bad").select())).error?.code, "22P02");
  assertEquals(await service.run(() => 7), 7);
});

Deno.test("PooledBaseService.withPooledClient() releases the client after success, rejection and throw", async () => {
  await using api = startDataApi(() => Response.json([]), { maxConnections: 1 });
  const service = new TestService(api.pool);
  const error = new Error("mine");
  await service.run((client) => client.from("t").select());
  assertStrictEquals(await service.run(() => Promise.reject(error)).catch((thrown) => thrown), error);
  assertStrictEquals(
    await service.run(() => {
      throw error;
    }).catch((thrown) => thrown),
    error,
  );
  const { activeConnections, totalAcquired, totalReleased } = api.pool.getStats();
  assertEquals([activeConnections, totalAcquired, totalReleased], [0, 3, 3]);
});

Deno.test("PooledBaseService.withPooledClient() holds the client until the operation settles", async () => {
  await using api = startDataApi(() => Response.json([]), { maxConnections: 1, acquireTimeoutMs: 20 });
  const service = new TestService(api.pool);
  const held = Promise.withResolvers<void>();
  const first = service.run(() => held.promise);
  const error = await assertRejects(() => service.run(() => 1), AcquireTimeoutError, "Connection acquire timeout");
  assertEquals(error.code, "ACQUIRE_TIMEOUT");
  held.resolve();
  await first;
  assertEquals(await service.run(() => 1), 1);

  let kept: unknown;
  await service.run((client) => {
    kept = client.from("t").select();
  });
  const { error: late } = await (kept as PromiseLike<{ error: { message: string } }>);
  assert(late.message.startsWith("LeaseReleasedError"), late.message);
  assertEquals(api.calls.length, 0);
});

Deno.test("PooledBaseService.withRetry() retries three times with a lease each, and returns the last result", async () => {
  await using api = startDataApi(UNAVAILABLE);
  const service = new TestService(api.pool);
  const result = await service.retry((client) => client.from("t").insert({}), undefined, 1);
  assertEquals(result.error?.code, "PGRST000");
  assertEquals(api.calls.length, 4);
  const { activeConnections, totalAcquired } = api.pool.getStats();
  assertEquals([activeConnections, totalAcquired], [0, 4]);
});

Deno.test("PooledBaseService.withRetry() runs each attempt through withPooledClient(), also one of a subclass", async () => {
  await using api = startDataApi(UNAVAILABLE);
  let attempts = 0;
  class CountingService extends TestService {
    protected override withPooledClient<T>(
      ...args: Parameters<PooledBaseService["withPooledClient"]>
    ): Promise<T> {
      attempts++;
      return super.withPooledClient(...args) as Promise<T>;
    }
  }
  await new CountingService(api.pool).retry((client) => client.from("t").select(), 2, 1);
  assertEquals(attempts, 3);
});

Deno.test("PooledBaseService.withRetry() uses the pool's maxRetries by default", async () => {
  await using api = startDataApi(UNAVAILABLE, { maxRetries: 1 });
  const service = new TestService(api.pool);
  await service.retry((client) => client.from("t").select());
  assertEquals(api.calls.length, 2);
  await service.retry((client) => client.from("t").select(), 0);
  assertEquals(api.calls.length, 3);
});

Deno.test("PooledBaseService.withRetry() stops at the first success", async () => {
  await using api = startDataApi((_call, nth) => nth < 3 ? UNAVAILABLE() : Response.json([nth]));
  const result = await new TestService(api.pool).retry((client) => client.from("t").select());
  assertEquals(result.data, [3]);
});

Deno.test("PooledBaseService.withRetry() holds no client during a delay", async () => {
  await using api = startDataApi((_call, nth) => nth < 2 ? UNAVAILABLE() : Response.json([]));
  const clock = new FakeClock();
  const waiting = Promise.withResolvers<void>();
  const done = new TestService(api.pool).retry((client) => client.from("t").select(), 1, 1_000, {
    clock,
    random: () => 0,
    onRetry: () => waiting.resolve(),
  });
  await waiting.promise;
  assertEquals(api.pool.getStats().activeConnections, 0);
  await settle();
  await clock.advance(1_000);
  assertEquals((await done).error, null);
});

Deno.test("PooledBaseService.withRetry() does not retry permanent failures, nor ambiguous ones without idempotent", async () => {
  for (
    const [respond, idempotent, expected] of [
      [() => apiError(409, "23505"), true, 1],
      [() => apiError(502, ""), false, 1],
      [() => apiError(502, ""), true, 4],
    ] as const
  ) {
    await using api = startDataApi(respond);
    await new TestService(api.pool).retry((client) => client.from("t").insert({}), 3, 1, { idempotent });
    assertEquals(api.calls.length, expected);
  }
});

Deno.test("PooledBaseService.withRetry() recognizes a timeout that supabase-js turned into a text", async () => {
  await using api = startDataApi(() => new Promise<Response>(() => {}), { requestTimeoutMs: 20 });
  const service = new TestService(api.pool);
  // Counted here: a call may time out before it arrives.
  let attempts = 0;
  const once = await service.retry((client) => (attempts++, client.from("t").insert({})), 1, 1);
  assertEquals([once.status, attempts], [0, 1]);
  await service.retry((client) => (attempts++, client.from("t").upsert({})), 1, 1, { idempotent: true });
  assertEquals(attempts, 3);
});

Deno.test("PooledBaseService.withRetry() classifies the error that fetch threw, not the text that supabase-js made of it", async () => {
  let calls = 0;
  await using api = startDataApi(() => Response.json([]), {
    fetch: () => {
      calls++;
      return Promise.reject(Object.assign(new Error("unknown words"), { code: "ECONNREFUSED" }));
    },
  });
  const result = await new TestService(api.pool).retry((client) => client.from("t").insert({}), 2, 1);
  assertEquals([result.status, calls], [0, 3]);
});

Deno.test("PooledBaseService.withRetry() rejects at deadlineMs, aborts its call and releases the client", async () => {
  await using api = startDataApi(() => new Promise<Response>(() => {}));
  const service = new TestService(api.pool);
  const error = await assertRejects(
    () => service.retry((client) => client.from("t").select(), 3, 1, { deadlineMs: 30 }),
    ServiceError,
    "timed out",
  );
  assertEquals([error.code, error.status], ["RETRY_TIMEOUT", 504]);
  await settle();
  assertEquals(api.pool.getStats().activeConnections, 0);
});

Deno.test("PooledBaseService.withRetry() releases the client at deadlineMs although the operation ignores the signal", async () => {
  await using api = startDataApi(() => Response.json([]));
  const service = new TestService(api.pool);
  await assertRejects(() => service.retry(() => new Promise(() => {}), 3, 1, { deadlineMs: 10 }), ServiceError);
  await settle();
  assertEquals(api.pool.getStats().activeConnections, 0);
});

Deno.test("PooledBaseService.withRetry() rejects when the signal of its lease aborts", async () => {
  await using api = startDataApi(() => new Promise<Response>(() => {}));
  const controller = new AbortController();
  const reason = new Error("gone");
  const done = new TestService(api.pool)
    .retry((client) => client.from("t").select(), 3, 1, { lease: { signal: controller.signal } })
    .catch((error) => error);
  await until("the call arrives", () => api.calls.length > 0);
  controller.abort(reason);
  assertStrictEquals(await done, reason);
  await settle();
  assertEquals(api.pool.getStats().activeConnections, 0);
});

Deno.test("PooledBaseService.handleError() has the error that fetch threw as its cause, not its text", async () => {
  await using api = startDataApi(() => new Promise<Response>(() => {}), { requestTimeoutMs: 20 });
  const service = new TestService(api.pool);
  await assertRejects(
    () =>
      service.run(async (client) => {
        const { error } = await client.from("t").select();
        if (error) service.fail(error);
      }),
    RequestTimeoutError,
  );
  const error: unknown = await service.run(async (client) => {
    api.pool.shutdown(0);
    const result = await client.from("t").select();
    service.fail(result);
  }).catch((thrown) => thrown);
  assertInstanceOf(error, Error);
  assertFalse(error instanceof ServiceError, "an error of the pool keeps its own class");
  assertFalse(error instanceof LeaseReleasedError);
});

Deno.test("PooledBaseService.getPoolStats() and healthCheck() return those of the pool", async () => {
  await using api = startDataApi(() => Response.json([]));
  const service = new TestService(api.pool);
  assertEquals(service.getPoolStats(), api.pool.getStats());
  const health = await service.healthCheck();
  assertEquals([health.healthy, health.details.testQuery.success], [true, true]);
});
