import { assertEquals } from "@std/assert";
import { createBudgetsHandler } from "../../functions/budgets/handler.ts";
import { createHealthHandler } from "../../functions/health/handler.ts";
import { createTemplatesHandler } from "../../functions/templates/handler.ts";
import { ID, startFunction } from "./fixture.ts";

const NOBODY = { Authorization: undefined };

Deno.test("templates: a publishable key is enough, and the project is asked anonymously", async () => {
  await using templates = await startFunction(createTemplatesHandler);
  templates.project.answer = () => Response.json([{ id: ID }], { headers: { "Content-Range": "0-0/1" } });
  const list = await templates.ask("GET", "/templates", { headers: NOBODY });
  assertEquals([list.status, (await list.json() as { total: number }).total], [200, 1]);
  const one = await templates.ask("GET", `/templates/${ID}`, { headers: NOBODY });
  assertEquals([one.status, await one.json()], [200, { id: ID }]);
  for (const { apikey, authorization } of templates.project.requests) {
    assertEquals(apikey, "sb_publishable_default");
    assertEquals(authorization?.includes("eyJ") ?? false, false);
  }
  const none = await templates.ask("GET", "/templates", { headers: { ...NOBODY, apikey: undefined } });
  assertEquals(none.status, 401);
  await none.body?.cancel();
});

Deno.test("templates: they are read only", async () => {
  await using templates = await startFunction(createTemplatesHandler);
  for (const path of ["/templates", `/templates/${ID}`]) {
    const response = await templates.ask("DELETE", path, { headers: NOBODY });
    assertEquals([response.status, response.headers.get("Allow")], [405, "GET, HEAD, OPTIONS"]);
    await response.body?.cancel();
  }
});

Deno.test("health: 200 or 503, to anybody; every function tells of its own isolate as well", async () => {
  for (
    const [create, path] of [[createHealthHandler, "/health/pool"], [
      createBudgetsHandler,
      "/budgets/health/pool",
    ]] as const
  ) {
    for (
      const [answer, status, healthy] of [
        [() => Response.json([]), 200, true],
        [() => Response.json({ message: "away" }, { status: 503 }), 503, false],
      ] as const
    ) {
      await using health = await startFunction(create);
      health.project.answer = answer;
      const response = await health.ask("GET", path, { headers: { Authorization: undefined, apikey: undefined } });
      const body = await response.json() as { status: string; healthy: boolean; details: Record<string, unknown> };
      assertEquals([response.status, body.status, body.healthy], [status, healthy ? "pass" : "fail", healthy]);
      assertEquals(body.details["testQuery"], { success: healthy });
      assertEquals(response.headers.get("Content-Type"), "application/health+json");
    }
  }
});

Deno.test("health: only GET and HEAD, and nothing else below it", async () => {
  await using health = await startFunction(createHealthHandler);
  const post = await health.ask("POST", "/health/pool", { headers: { Authorization: undefined } });
  assertEquals([post.status, post.headers.get("Allow")], [405, "GET, HEAD"]);
  await post.body?.cancel();
  const unknown = await health.ask("GET", "/health", { headers: { Authorization: undefined } });
  assertEquals(unknown.status, 404);
  await unknown.body?.cancel();
});
