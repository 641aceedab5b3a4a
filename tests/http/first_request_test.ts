/** Tests what the first request of a cold isolate loads. */
import { assertEquals } from "@std/assert";
import { startDeno } from "../support/deno_process.ts";
import { startFakeProject } from "../support/fake_project.ts";
import { environment } from "./real_rig.ts";
import { sharedSecretToken } from "./tokens.ts";

Deno.test("withPooledSupabase() reads no global in its first requests that takes milliseconds to load", async () => {
  await using project = startFakeProject();
  project.answer = () => Promise.resolve(Response.json([]));
  const variables = { ...environment(project.url), CALLER_TOKEN: await sharedSecretToken() };
  const script = new URL("./isolates/first_request.ts", import.meta.url);
  await using isolate = startDeno(script, variables as Record<string, string>);
  assertEquals(JSON.parse(await isolate.line() ?? "null"), { statuses: [200, 200], read: [] });
});
