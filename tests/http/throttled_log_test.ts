import { assert, assertEquals, assertFalse, assertStringIncludes } from "@std/assert";
import { delay } from "@std/async";
import { FakeTime } from "@std/testing/time";
import { withPooledSupabase } from "../support/http.ts";
import { AcquireTimeoutError, QueueFullError } from "../../shared/pool/mod.ts";
import { ServiceError } from "../../shared/services/mod.ts";
import { RequestTimeoutError } from "../../shared/supabase/mod.ts";
import { redact } from "../../shared/http/logging/log.ts";
import { FakePools, VARIABLES } from "./fake_pools.ts";

/** A handler that fails with the error it is given, and what it logged. */
function setUp() {
  const lines: string[] = [];
  let next: unknown;
  const handle = withPooledSupabase<unknown>(
    { auth: "none", variables: VARIABLES, service: new FakePools(), log: (line) => lines.push(line) },
    () => Promise.reject(next),
  );
  const fail = async (error: unknown): Promise<number> => {
    next = error;
    const response = await handle(new Request("https://x.test/f"));
    await response.body?.cancel();
    return response.status;
  };
  return { lines, fail };
}

Deno.test("ThrottledLog.logResponse() logs errors of the project with their causes and without row values, and outages once per second", async (t) => {
  const details = "Failing row contains (Ada)";
  const missing = { message: "Could not find the table 'public.nots'", code: "PGRST205", details, hint: null };
  const column = { message: "column nam does not exist, Bearer abc", code: "42703", details, hint: null };
  const rows: Record<string, readonly [unknown, status: number, says: string, lines?: number]> = {
    "a wrong table": [missing, 502, "public.nots"],
    "a wrong column": [Object.assign(new Error(column.message), column), 502, "column nam"],
    "of a service": [
      new ServiceError({ code: "42703", status: 502, message: "failed", cause: column }),
      502,
      "column nam",
    ],
    "not reachable": [{ message: "no database", code: "PGRST000", details, hint: null }, 503, "no database", 1],
    "of a service, not reachable": [
      new ServiceError({ code: "UPSTREAM_UNAVAILABLE", status: 503, message: "m", cause: new Error("refused") }),
      503,
      "refused",
      1,
    ],
    "a connection that broke": [{ message: "TypeError: reset", code: "", details, hint: "" }, 502, "reset", 1],
    "a timeout": [new RequestTimeoutError(5), 504, "REQUEST_TIMEOUT", 1],
  };
  for (const [name, [error, status, says, count = 2]] of Object.entries(rows)) {
    await t.step(name, async () => {
      const { lines, fail } = setUp();
      assertEquals([await fail(error), await fail(error)], [status, status]);
      assertEquals(lines.map((line) => JSON.parse(line).event), Array(count).fill("request_failed"));
      assertStringIncludes(lines[0] ?? "", says);
      assertFalse(/Ada|abc/.test(lines.join()));
    });
  }
});

Deno.test("ThrottledLog.logResponse() does not log errors of the caller", async () => {
  const { lines, fail } = setUp();
  assertEquals(await fail({ message: "duplicate", code: "23505", details: "", hint: null }), 409);
  assertEquals(lines, []);
});

Deno.test("ThrottledLog.logResponse() logs rejections of the pool once per second and code, and counts all of them", async () => {
  using time = new FakeTime();
  const { lines, fail } = setUp();
  for (let i = 0; i < 100; i++) {
    assertEquals(await fail(new AcquireTimeoutError("Connection acquire timeout")), 503);
    assertEquals(await fail(new QueueFullError("full")), 503);
  }
  time.tick(999);
  await fail(new QueueFullError("full"));
  assertEquals(lines.length, 2);
  time.tick(1);
  await fail(new QueueFullError("full"));
  const logged = lines.map((line) => JSON.parse(line));
  assert(logged.every(({ level, event }) => level === "warn" && event === "request_refused"));
  assertEquals(logged.map(({ count, error }) => [error.code, count]), [
    ["ACQUIRE_TIMEOUT", 1],
    ["QUEUE_FULL", 1],
    ["QUEUE_FULL", 101],
  ]);
});

Deno.test("ThrottledLog forgets codes when there are too many of them", async () => {
  const { lines, fail } = setUp();
  for (let i = 0; i < 1_000; i++) {
    assertEquals(await fail({ message: "m", code: `X${i}`, details: "", hint: "", status: 503 }), 503);
  }
  assertEquals(lines.length, 1_000);
  await fail({ message: "m", code: "X999", details: "", hint: "", status: 503 });
  assertEquals(lines.length, 1_000);
  await fail({ message: "m", code: "X1", details: "", hint: "", status: 503 });
  assertEquals(lines.length, 1_001);
});

Deno.test("withPooledSupabase() logs credentials that cannot be verified once per second", async () => {
  using time = new FakeTime();
  const lines: string[] = [];
  const handle = withPooledSupabase<unknown>(
    { auth: "publishable:absent", variables: VARIABLES, service: new FakePools(), log: (line) => lines.push(line) },
    () => new Response(),
  );
  const ask = async () => {
    const response = await handle(new Request("https://x.test/f", { headers: { apikey: "sb_publishable_mine" } }));
    await response.body?.cancel();
    return response.status;
  };
  assertEquals([await ask(), await ask(), await ask()], [500, 500, 500]);
  time.tick(1_000);
  await ask();
  const logged = lines.map((line) => JSON.parse(line));
  assertEquals(logged.map(({ level, error, count }) => [level, error.code, count]), [
    ["error", "NO_KEYS_CONFIGURED", 1],
    ["error", "NO_KEYS_CONFIGURED", 3],
  ]);
  assertFalse(lines.join().includes("sb_publishable_mine"));
});

for (
  const text of [
    "DB_PASSWORD=hunter2",
    "client_secret=hunter2",
    '"accessToken":"hunter2"',
    "Authorization: Basic aHVudGVyMg==hunter2",
    "postgres://u:pa/hunter2@h/db",
    "postgres://u:p@hunter2@h/db",
    "sbp_hunter2",
    "apiKey: hunter2",
  ]
) {
  Deno.test(`redact() removes the credential of ${text.split("hunter2")[0]}…`, () => {
    assertFalse(redact(text).includes("hunter2"), redact(text));
  });
}

Deno.test("withPooledSupabase() responds if its log throws or rejects", async () => {
  const noLog = () => {
    throw new Error("no log");
  };
  for (const log of [noLog, () => Promise.reject(new Error("no log"))]) {
    const handle = withPooledSupabase<unknown>(
      { auth: "none", variables: VARIABLES, service: new FakePools(), log },
      () => Promise.reject(new Error("secret")),
    );
    const response = await handle(new Request("https://x.test/f"));
    assertEquals(response.status, 500);
    await response.body?.cancel();
    await delay(0);
  }
});
