/** `deno task dashboard` as a process. */
import { assert, assertEquals, assertMatch } from "@std/assert";
import { component } from "../../support/components.ts";
import { startStack, ToolRun } from "../tool.ts";
import { fleetPage, KEY } from "./support.ts";

Deno.test("dashboard serves the page of a project, prints no key, and exits with 0 when it is stopped", async () => {
  const project = Deno.serve({ hostname: "127.0.0.1", port: 0, onListen() {} }, () => Response.json(fleetPage()));
  const url = `http://127.0.0.1:${project.addr.port}`;
  try {
    for (const signal of ["SIGINT", "SIGTERM", "SIGHUP"] as const) {
      await using run = new ToolRun("dashboard", ["--url", url, "--port", "0"], { SUPABASE_SECRET_KEY: KEY });
      const page = await run.until(/(http:\S+)\nCtrl-C stops it/);
      const data = await (await fetch(`${page}data`)).json();
      assertEquals(data.functions.length, 1);
      run.kill(signal);
      assertEquals(await run.exit(), 0, run.output);
      assert(!run.output.includes(KEY));
    }
  } finally {
    await project.shutdown();
  }
});

Deno.test("dashboard exits with 2 without a key or with one that is none, and with 1 where its port is taken", async () => {
  using taken = Deno.listen({ hostname: "127.0.0.1", port: 0 });
  const args = ["--url", "http://127.0.0.1:1", "--port", String(taken.addr.port)];
  const runs: [Record<string, string>, number, RegExp][] = [
    [{}, 2, /^Error: SUPABASE_SECRET_KEY is not set: set it to the secret key of the project, or run in a terminal/],
    [{ SUPABASE_SECRET_KEY: "two words" }, 2, /^Error: SUPABASE_SECRET_KEY is not the secret key of a project/],
    [{ SUPABASE_SECRET_KEY: KEY }, 1, /^Error: Port \d+ is in use: .* --port <port>/],
  ];
  for (const [env, code, message] of runs) {
    await using run = new ToolRun("dashboard", args, env);
    assertEquals(await run.exit(), code, run.output);
    assertMatch(run.output, message);
  }
});

Deno.test("dashboard finds the stack of a project at the address it listens on, and says so if none runs", async () => {
  const stack = await startStack(() => Response.json(fleetPage()));
  {
    await using _running = stack;
    await using run = new ToolRun("dashboard", ["--project", stack.project, "--port", "0"]);
    const page = await run.until(/(http:\S+)\nCtrl-C stops it/);
    const data = await (await fetch(`${page}data`)).json();
    assertEquals([data.target, data.functions.length], [new URL(stack.url).host, 1]);
  }
  const folder = await Deno.makeTempDir();
  await using run = new ToolRun("dashboard", ["--project", folder]);
  assertEquals(await run.exit(), 1, run.output);
  assertMatch(run.output, /^Error: The local stack of .* is not running: start it with `npx .* --project/);
  await Deno.remove(folder, { recursive: true });
});

const terminal = component("script");

Deno.test({
  name: `dashboard asks for the key at a terminal, which does not show it${terminal.note}`,
  ignore: terminal.ignore,
  async fn() {
    const project = Deno.serve(
      { hostname: "127.0.0.1", port: 0, onListen() {} },
      ({ headers }) =>
        Response.json({ ...fleetPage(), isolates: [{ isolate: headers.get("apikey") === KEY ? "right" : "wrong" }] }),
    );
    const args = ["--url", `http://127.0.0.1:${project.addr.port}`, "--port", "0"];
    try {
      await using run = new ToolRun("dashboard", args, {}, true);
      await run.until(/not shown\): /);
      await run.type(`${KEY}\r`);
      const page = await run.until(/(http:\S+)\r?\nCtrl-C stops it/);
      const data = await (await fetch(`${page}data`)).json();
      assertEquals(data.isolates[0].isolate, "right");
      assert(!run.output.includes(KEY), run.output);
      // The terminal works as before: it turns Ctrl-C into a signal.
      await run.type("\x03");
      assertEquals(await run.exit(), 0, run.output);
      await using interrupted = new ToolRun("dashboard", args, {}, true);
      await interrupted.until(/not shown\): /);
      await interrupted.type("abc\x03");
      assertEquals(await interrupted.exit(), 1);
      assertMatch(interrupted.output, /Error: Interrupted before the key was entered\./);
    } finally {
      await project.shutdown();
    }
  },
});
