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
    /** Runs a query for process ids on a connection of its own. */
    const pidOf = async (where: string) => {
      const sql = postgres(stack.dbUrl, { max: 1, onnotice: () => {} });
      try {
        const [found] = await sql<{ pid: number }[]>`select pid from pg_stat_activity where ${
          sql.unsafe(where)
        } limit 1`;
        return found?.pid;
      } finally {
        await sql.end();
      }
    };
    const backend = await pidOf("usename = 'supabase_admin' and backend_type = 'client backend'");
    const checkpointer = await pidOf("backend_type = 'checkpointer'");
    assert(backend);
    Deno.kill(backend, "SIGKILL");
    // The server ends all its processes, and needs a while until it accepts connections again.
    const isNew = (pid: number | undefined) => pid !== undefined && pid !== checkpointer;
    await eventually(() => pidOf("backend_type = 'checkpointer'").then(isNew, () => false), "the server's return");
    const backAt = performance.now();
    // Longer than the 5 s that a request may wait for a connection that will not respond.
    await new Promise((resolve) => setTimeout(resolve, 5_500));
    assertEquals(failedAt - backAt < 3_000, true, `a request failed ${Math.round(failedAt - backAt)} ms later`);
  }
  running = false;
  await Promise.all(load);
});
