/** `deno task load` as a process, in front of a stand-in for a project. */
import { assert, assertEquals, assertMatch } from "@std/assert";
import { component } from "../../support/components.ts";
import { eventually } from "../fixture.ts";
import { startStack, ToolRun, USER } from "../tool.ts";

Deno.test("load finds the stack at the address it listens on, and exits with 0 after a successful response", async () => {
  await using stack = await startStack(() => Response.json({}));
  await using run = new ToolRun("load", ["--project", stack.project, "--seconds", "0.3", "--concurrency", "2"]);
  assertEquals(await run.exit(), 0, run.output);
  assert(run.output.startsWith(`GET ${stack.url}/functions/v1/budgets\n`), run.output);
  assertMatch(run.output, /successful +\d+, [\d.]+ per second\n +refused or failed +0,/);
  assert(!run.output.includes("\x1b"), "no progress without a terminal");
  assertEquals(stack.lines.at(-1), `DELETE /auth/v1/admin/users/${USER}`);
});

for (
  const [status, hint] of [[401, "choose another one with --user"], [429, "429 +"], [503, "503 POOL_FULL"]] as const
) {
  Deno.test(`load exits with 1 after responses of ${status} only, and says what was refused`, async () => {
    await using stack = await startStack(() => Response.json(status === 503 ? { code: "POOL_FULL" } : {}, { status }));
    await using run = new ToolRun("load", ["--project", stack.project, "--seconds", "0.2", "--rps", "20"]);
    assertEquals(await run.exit(), 1, run.output);
    assertMatch(run.output, new RegExp(hint));
  });
}

Deno.test("load ends on Ctrl-C with its summary and without its user, also if a launcher passes the signal on", async () => {
  await using stack = await startStack(() => new Promise(() => {}));
  await using run = new ToolRun("load", ["--project", stack.project, "--seconds", "600"]);
  await run.until(/^GET /);
  run.kill("SIGINT");
  run.kill("SIGINT");
  assertEquals(await run.exit(), 130, run.output);
  assertMatch(run.output, /Interrupted after [\d.]+ s: 10 callers, 600 s/);
  assertEquals(stack.lines.at(-1), `DELETE /auth/v1/admin/users/${USER}`);
});

Deno.test("load ends at its deadline although a function does not respond", async () => {
  await using stack = await startStack(() => new Promise(() => {}));
  const args = ["--project", stack.project, "--seconds", "0.2", "--timeout", "0.3", "--user", "none"];
  await using run = new ToolRun("load", args);
  assertEquals(await run.exit(), 1, run.output);
  assertMatch(run.output, /no response timeout +\d+\n\nThe function did not respond within --timeout/);
  assertEquals(stack.lines, ["GET /functions/v1/budgets"]);
});

Deno.test("load on another project warns without a key, and needs --yes", async () => {
  await using stack = await startStack(() => Response.json({}));
  await using refused = new ToolRun("load", ["--url", stack.url]);
  assertEquals(await refused.exit(), 2);
  assertMatch(refused.output, /^Error: Load on http.* pass --yes to confirm it/);
  assertEquals(stack.lines, []);
  await using run = new ToolRun("load", ["--url", stack.url, "--yes", "--seconds", "0.1"]);
  assertEquals(await run.exit(), 0, run.output);
  assertMatch(run.output, /Warning: SUPABASE_PUBLISHABLE_KEY is not set/);
});

const terminal = component("script");

Deno.test({
  name: `load shows its progress at a terminal, and clears the line${terminal.note}`,
  ignore: terminal.ignore,
  async fn() {
    await using stack = await startStack(() => Response.json({}));
    await using run = new ToolRun("load", ["--project", stack.project, "--seconds", "3"], {}, true);
    assertEquals(await run.exit(), 0, run.output);
    const output = run.output.replaceAll("\r\x1b[2K", "<cleared>");
    assertMatch(output, /<cleared>\[#+ +\] \d\/3 s {2}\d+ responses, 0 failed, p50 /);
    assertMatch(output, /<cleared>\r\nCompleted in /);
  },
});

Deno.test({
  name: `load whose terminal is closed leaves no user behind${terminal.note}`,
  ignore: terminal.ignore,
  async fn() {
    await using stack = await startStack(() => Response.json({}));
    await using run = new ToolRun("load", ["--project", stack.project, "--seconds", "600"], {}, true);
    await run.until(/responses/);
    run.kill("SIGKILL");
    const removal = `DELETE /auth/v1/admin/users/${USER}`;
    await eventually(() => stack.lines.at(-1) === removal, "the removal of the user");
  },
});

Deno.test("load ends on a second Ctrl-C although its user cannot be deleted", async () => {
  await using stack = await startStack(() => new Promise(() => {}), () => new Promise(() => {}));
  await using run = new ToolRun("load", ["--project", stack.project, "--seconds", "600"]);
  await run.until(/^GET /);
  run.kill("SIGINT");
  await eventually(() => stack.lines.at(-1)?.startsWith("DELETE ") ?? false, "the removal of the user");
  await new Promise((resolve) => setTimeout(resolve, 700));
  run.kill("SIGINT");
  assertEquals(await run.exit(), 130, run.output);
});
