import { assert, assertEquals, assertFalse, assertStringIncludes } from "@std/assert";
import { delay } from "@std/async";
import { FakeTime } from "@std/testing/time";
import { withPooledSupabase } from "../support/http.ts";
import { AcquireTimeoutError, QueueFullError } from "../../shared/pool/mod.ts";
import { ServiceError } from "../../shared/services/mod.ts";
import { RequestTimeoutError } from "../../shared/supabase/mod.ts";
import { redact } from "../../shared/observability/mod.ts";
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
  const column = { message: "column nam does not exist, Bearer hunter2-token", code: "42703", details, hint: null };
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
      assertFalse(/Ada|hunter2/.test(lines.join()));
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
  assertEquals(logged.map(({ data }) => [data.code, data.count]), [
    ["ACQUIRE_TIMEOUT", 1],
    ["QUEUE_FULL", 1],
    ["QUEUE_FULL", 101],
  ]);
});

Deno.test("ThrottledLog forgets codes when there are too many of them", async () => {
  using time = new FakeTime();
  const { lines, fail } = setUp();
  const failWith = (code: string) => fail({ message: "m", code, details: "", hint: "", status: 503 });
  for (let i = 0; i < 200; i++) {
    assertEquals(await failWith(`X${i}`), 503);
    // The budget of all lines allows 100 in 10 s; the codes before the last 100 are forgotten by then.
    if (i === 150) time.tick(10_000);
  }
  const logged = lines.length;
  await failWith("X199");
  assertEquals(lines.length, logged);
});

Deno.test("ThrottledLog writes at most 100 lines in any 10 s, however many codes a caller causes, and counts the others", async () => {
  using time = new FakeTime();
  const { lines, fail } = setUp();
  const at: number[] = [];
  for (let i = 0; i < 3_000; i++) {
    await fail({ message: "m", code: `X${i}`, details: "", hint: "", status: 503 });
    while (at.length < lines.length) at.push(i * 10);
    time.tick(10);
  }
  for (const [index, from] of at.entries()) assert((at[index + 100] ?? Infinity) - from >= 9_900, `${index}`);
  const events = lines.map((line) => JSON.parse(line));
  const suppressed = events.filter(({ event }) => event === "log_suppressed");
  assert(suppressed.length > 0);
  const counted = suppressed.reduce((sum, { data }) => sum + data.count, 0);
  const written = events.length - suppressed.length;
  assert(written + counted <= 3_000 && written + counted > 2_900, `${written} ${counted}`);
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
  assertEquals(logged.map(({ level, data }) => [level, data.code, data.count]), [
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
