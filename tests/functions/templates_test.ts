import { assertEquals } from "@std/assert";
import { createTemplatesHandler } from "../../functions/templates/handler.ts";
import { ID, startFunction } from "./fixture.ts";

const WITHOUT_TOKEN = { Authorization: undefined };

Deno.test("GET /templates needs only a publishable key, and queries the project anonymously", async () => {
  await using templates = await startFunction(createTemplatesHandler);
  templates.project.answer = () => Response.json([{ id: ID }], { headers: { "Content-Range": "0-0/1" } });
  const list = await templates.ask("GET", "/templates", { headers: WITHOUT_TOKEN });
  assertEquals([list.status, (await list.json() as { total: number }).total], [200, 1]);
  const one = await templates.ask("GET", `/templates/${ID}`, { headers: WITHOUT_TOKEN });
  assertEquals([one.status, await one.json()], [200, { id: ID }]);
  for (const { apikey, authorization } of templates.project.requests) {
    assertEquals(apikey, "sb_publishable_default");
    assertEquals(authorization?.includes("eyJ") ?? false, false);
  }
  const none = await templates.ask("GET", "/templates", { headers: { ...WITHOUT_TOKEN, apikey: undefined } });
  assertEquals(none.status, 401);
  await none.body?.cancel();
});

Deno.test("DELETE /templates responds 405", async () => {
  await using templates = await startFunction(createTemplatesHandler);
  for (const path of ["/templates", `/templates/${ID}`]) {
    const response = await templates.ask("DELETE", path, { headers: WITHOUT_TOKEN });
    assertEquals([response.status, response.headers.get("Allow")], [405, "GET, HEAD, OPTIONS"]);
    await response.body?.cancel();
  }
});
