import { assert, assertEquals } from "@std/assert";
import postgres from "postgres";
import { type Answer, assertProblem, call, signUp, until, useStack } from "./support.ts";

const stack = useStack({ env: { POOL_MAX_CONNECTIONS: "10", POOL_ACQUIRE_TIMEOUT_MS: "1000" } });

/** Blocks every query on budgets until it is released. */
async function stall<T>(during: () => Promise<T>): Promise<T> {
  const sql = postgres(stack().dbUrl, { max: 1, onnotice: () => {} });
  try {
    return await sql.begin(async (transaction) => {
      await transaction`lock table public.budgets in access exclusive mode`;
      return await during();
    }) as T;
  } finally {
    await sql.end();
  }
}

Deno.test("a request that waits longer than the acquire timeout gets 503 with Retry-After, and no slot is lost", async () => {
  const { token } = await signUp(stack(), "timeout");
  const pending: Promise<Answer>[] = [];
  const refused = await stall(async () => {
    for (let i = 0; i < 10; i++) pending.push(call(stack(), "/budgets", { token }));
    await until("ten leases are out", async () => {
      const { body } = await call(stack(), "/budgets/health/pool");
      return body.details.stats.activeConnections === 10;
    });
    return await Promise.all(Array.from({ length: 5 }, () => call(stack(), "/budgets", { token })));
  });
  for (const answer of refused) {
    assertProblem(answer, 503, "ACQUIRE_TIMEOUT");
    assert(Number(answer.headers.get("retry-after")) >= 1);
    assert(answer.body.detail.includes("Connection acquire timeout"), answer.body.detail);
  }
  assertEquals((await Promise.all(pending)).map(({ status }) => status), Array(10).fill(200));
  const { body } = await call(stack(), "/budgets/health/pool");
  assertEquals([body.details.stats.activeConnections, body.details.stats.waitingForConnection], [0, 0]);
});

Deno.test("GET /health/pool responds with warn while every slot is leased", async () => {
  const { token } = await signUp(stack(), "warn");
  const pending: Promise<Answer>[] = [];
  await stall(async () => {
    for (let i = 0; i < 10; i++) pending.push(call(stack(), "/budgets", { token }));
    await until("health warns", async () => {
      const { status, body } = await call(stack(), "/budgets/health/pool");
      return status === 200 && body.status === "warn";
    });
  });
  await Promise.all(pending);
});

Deno.test("a caller that disconnects leaves the queue at once", async () => {
  const { token } = await signUp(stack(), "gone");
  const pending: Promise<unknown>[] = [];
  await stall(async () => {
    const controller = new AbortController();
    for (let i = 0; i < 15; i++) {
      pending.push(call(stack(), "/budgets", { token, signal: controller.signal }).catch(() => {}));
    }
    const stats = async () => (await call(stack(), "/budgets/health/pool")).body.details.stats;
    await until("ten leases are active, and some requests wait", async () => {
      const { activeConnections, waitingForConnection } = await stats();
      return activeConnections === 10 && waitingForConnection > 0;
    });
    controller.abort();
    await until("all slots are free", async () => {
      const { activeConnections, waitingForConnection } = await stats();
      return activeConnections === 0 && waitingForConnection === 0;
    }, 3_000);
  });
  await Promise.all(pending);
  assertEquals((await call(stack(), "/budgets", { token })).status, 200);
});
