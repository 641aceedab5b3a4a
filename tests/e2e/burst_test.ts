import { assert, assertEquals } from "@std/assert";
import { call, poolHeaders, signUp, useStack } from "./support.ts";

// No request may be rejected here, however slow the machine is.
const stack = useStack({ env: { POOL_MAX_CONNECTIONS: "10", POOL_ACQUIRE_TIMEOUT_MS: "60000" } });

Deno.test("a hundred requests at once on ten slots use at most ten leases and all get a response", async () => {
  const { token } = await signUp(stack(), "load");
  let watching = true;
  let most = 0;
  const watch = (async () => {
    while (watching) {
      const { body } = await call(stack(), "/budgets/health/pool");
      most = Math.max(most, body.details.stats.activeConnections);
    }
  })();
  const answers = await Promise.all(
    Array.from(
      { length: 100 },
      (_, i) =>
        i % 4 === 0
          ? call(stack(), "/budgets", { token, body: { name: `budget ${i}` } })
          : call(stack(), "/budgets", { token }),
    ),
  );
  watching = false;
  await watch;
  assertEquals(answers.filter(({ status }) => status !== 200 && status !== 201).map(({ body }) => body), []);
  for (const answer of answers) {
    const [total, active] = poolHeaders(answer);
    most = Math.max(most, active ?? Infinity, total ?? Infinity);
  }
  assert(most > 1 && most <= 10, `${most} leases at once`);
  assertEquals((await call(stack(), "/budgets?limit=1", { token })).body.total, 25);
});
