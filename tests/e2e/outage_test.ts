import { assert, assertEquals } from "@std/assert";
import { type Answer, call, poolHeaders, signUp, until, useStack } from "./support.ts";

const stack = useStack();

/** The responses that are allowed while the database is down: a clear problem, never a 500. */
function assertClear(answer: Answer): void {
  if (answer.status === 200) return;
  assert([502, 503, 504].includes(answer.status), `${answer.status} ${JSON.stringify(answer.body)}`);
  assertEquals(answer.headers.get("content-type"), "application/problem+json");
  assert(typeof answer.body.code === "string" && answer.body.code !== "INTERNAL_ERROR", JSON.stringify(answer.body));
  if (answer.status === 503) assert(answer.headers.get("retry-after"), "503 without Retry-After");
  assert(!/password|postgres(ql)?:\/\/|at file:|127\.0\.0\.1/.test(JSON.stringify(answer.body)), "tells too much");
  poolHeaders(answer);
}

for (const how of ["stop", "kill"] as const) {
  Deno.test(`functions respond with clear errors while the database is down under load (${how}), and recover without a restart`, async () => {
    const { token } = await signUp(stack(), "outage");
    assertEquals((await call(stack(), "/budgets", { token, body: { name: "kept" } })).status, 201);
    let running = true;
    const answers: Answer[] = [];
    const callers = Array.from({ length: 20 }, async () => {
      while (running) answers.push(await call(stack(), "/budgets", { token }));
    });
    await until("there is load", () => Promise.resolve(answers.length > 50));
    await stack().database[how]();
    const before = answers.length;
    await until("requests fail", () => Promise.resolve(answers.slice(before).some(({ status }) => status >= 500)));
    const health = await call(stack(), "/budgets/health/pool");
    await stack().database.start();
    await until("requests succeed again", async () => (await call(stack(), "/budgets", { token })).status === 200);
    running = false;
    await Promise.all(callers);
    for (const answer of answers) assertClear(answer);
    assert([200, 503].includes(health.status));
    const { body } = await call(stack(), "/budgets", { token });
    assertEquals(body.items.map((item: { name: string }) => item.name), ["kept"]);
    await until("health passes again and every slot is back", async () => {
      const { status, body } = await call(stack(), "/budgets/health/pool");
      const { activeConnections, waitingForConnection } = body.details?.stats ?? {};
      return status === 200 && activeConnections === 0 && waitingForConnection === 0;
    });
  });
}

Deno.test("a function that is replaced finishes its requests, then accepts no more", async () => {
  const { token } = await signUp(stack(), "drain");
  const begun = Array.from({ length: 20 }, () => call(stack(), "/budgets", { token }));
  await stack().functions.reload("budgets");
  assertEquals((await Promise.all(begun)).map(({ status }) => status), Array(20).fill(200));
  assertEquals((await call(stack(), "/budgets", { token })).status, 200);
});
