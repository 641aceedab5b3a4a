import { assert, assertEquals } from "@std/assert";
import postgres from "postgres";
import { startStack } from "../../local/mod.ts";
import { createProject, eventually } from "./fixture.ts";

Deno.test("DataApi is back long before its timeouts after a backend of Postgres has crashed under load", async () => {
  await using project = await createProject();
  await using stack = await startStack({ root: project.root, ephemeral: true });
  const get = async () => {
    const response = await fetch(`${stack.restUrl}/greetings`, {
      headers: { apikey: stack.publishableKey },
      signal: AbortSignal.timeout(10_000),
    });
    await response.body?.cancel();
    return response.status;
  };
  await eventually(async () => await get() === 200, "the first response");
  let running = true;
  let failedAt = 0;
  const load = Array.from({ length: 10 }, async () => {
    while (running) {
      if (await get() === 200) continue;
      failedAt = performance.now();
      await new Promise((resolve) => setTimeout(resolve, 10));
    }
  });
  for (let crash = 0; crash < 3; crash++) {
    const sql = postgres(stack.dbUrl, { max: 1, onnotice: () => {} });
    const [backend] = await sql<{ pid: number }[]>`select pid from pg_stat_activity
      where usename = 'supabase_admin' and backend_type = 'client backend' limit 1`;
    await sql.end();
    assert(backend);
    const killedAt = performance.now();
    Deno.kill(backend.pid, "SIGKILL");
    // Longer than the 5 s that a request may wait for a connection that will not respond.
    await new Promise((resolve) => setTimeout(resolve, 5_500));
    assertEquals(failedAt - killedAt < 3_000, true, `a request failed ${Math.round(failedAt - killedAt)} ms later`);
  }
  running = false;
  await Promise.all(load);
});
