/** Tests isolates as processes: their exit, and their state after a freeze. */
import { assert, assertEquals } from "@std/assert";
import { delay } from "@std/async";
import { startDeno } from "../support/deno_process.ts";
import { startFakeProject } from "../support/fake_project.ts";
import { environment } from "./real_rig.ts";
import { until } from "../support/until.ts";

const script = (name: string) => new URL(`./isolates/${name}.ts`, import.meta.url);

Deno.test("withPooledSupabase() does not keep a process alive, neither by its pools nor by waiters", async () => {
  await using isolate = startDeno(script("idle"));
  assertEquals([await isolate.line(), await isolate.line()], ["200", "over"]);
  // Its own timers go on for 30 seconds and more.
  let code: number | undefined;
  isolate.code.then((ended) => code = ended);
  for (let ms = 0; code === undefined && ms < 20_000; ms += 10) await delay(10);
  assertEquals(code, 0);
});

Deno.test("withPooledSupabase() expires idle clients and times out calls after a freeze, and serves new requests", async () => {
  await using project = startFakeProject();
  const together = Promise.withResolvers<void>();
  let rows = 0;
  project.answer = async (request) => {
    if (new URL(request.url).pathname.endsWith("/slow")) return await new Promise(() => {});
    if (++rows === 3) together.resolve();
    await together.promise;
    return Response.json([]);
  };
  const variables = environment(project.url, {
    POOL_MIN_CONNECTIONS: "0",
    POOL_IDLE_TIMEOUT_MS: "1500",
    POOL_REQUEST_TIMEOUT_MS: "1500",
    JWT_SECRET: "",
  });
  await using isolate = startDeno(script("server"), variables as Record<string, string>);
  const address = `http://127.0.0.1:${await isolate.line()}`;
  const send = async (path: string) => {
    const response = await fetch(address + path);
    await response.body?.cancel();
    return [response.status, Number(response.headers.get("X-Pool-Total-Connections"))] as const;
  };

  const before = await Promise.all([1, 2, 3].map(() => send("/rows")));
  assertEquals(before.map(([status]) => status), [200, 200, 200]);
  assertEquals(Math.max(...before.map(([, total]) => total)), 3);

  const slow = send("/slow");
  await until("the slow request arrives", () => project.requests.some(({ path }) => path.includes("/slow")));
  Deno.kill(isolate.pid, "SIGSTOP");
  await delay(1_700);
  const arrived = project.requests.length;
  const frozen = send("/rows"); // sent to a frozen isolate, which responds after the thaw
  await delay(50);
  assertEquals(project.requests.length, arrived);
  Deno.kill(isolate.pid, "SIGCONT");
  const thawedMs = performance.now();

  assertEquals((await slow)[0], 504);
  const [status, total] = await frozen;
  assertEquals(status, 200);
  assert(total <= 2, `${total} clients, where those that were idle have expired`);
  assert(performance.now() - thawedMs < 20_000, "the time it was frozen counts");

  Deno.kill(isolate.pid, "SIGUSR1");
  assertEquals([await isolate.line(), await isolate.code], ["drained", 0]);
});

Deno.test("withPooledSupabase() halves the limit of a process that comes near POOL_MEMORY_LIMIT_MB, until it has recovered", async () => {
  const variables = environment("http://127.0.0.1:1", { POOL_MEMORY_LIMIT_MB: "160", JWT_SECRET: "" });
  await using isolate = startDeno(script("hungry"), variables as Record<string, string>);
  const reports = [];
  for (let line = await isolate.line(); line !== undefined; line = await isolate.line()) reports.push(JSON.parse(line));
  assertEquals(reports.map(({ totalMemoryLow, limit, events }) => [totalMemoryLow, limit, events]), [
    [0, 8, []],
    [1, 4, ["memory_low"]],
    [1, 8, ["memory_recovered"]],
  ]);
  const [before, low, after] = reports.map(({ usedMb }) => usedMb);
  assert(before < 100 && low > 160 && after < 100, `${before}, ${low} and ${after} MB`);
});
