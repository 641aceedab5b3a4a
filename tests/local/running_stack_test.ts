import { assertEquals, assertMatch, assertRejects } from "@std/assert";
import { lockProject } from "../../local/lock.ts";
import { runningStack } from "../../local/running_stack.ts";
import { StackError } from "../../local/stack_error.ts";

const ROOT = new URL("../../", import.meta.url);

Deno.test("runningStack() reads the keys of a project only while a stack holds its lock", async () => {
  const project = await Deno.makeTempDir();
  try {
    await Deno.mkdir(`${project}/.local`);
    await Deno.mkdir(`${project}/supabase`);
    const error = await assertRejects(() => runningStack({ project }), StackError, "is not running: start it with");
    assertEquals(error.code, "STOPPED");
    assertEquals([...Deno.readDirSync(`${project}/.local`)], []);
    using lock = await lockProject(`${project}/.local`);
    const { url, secretKey } = await runningStack({ project, port: 5000 });
    assertEquals(url, "http://127.0.0.1:5000");
    assertMatch(secretKey, /^sb_secret_/);
    assertEquals((await runningStack({ project })).url, "http://127.0.0.1:54321");
    await lock.publish("http://127.0.0.1:61234");
    assertEquals((await runningStack({ project })).url, "http://127.0.0.1:61234");
    assertEquals((await runningStack({ project, port: 5000 })).url, "http://127.0.0.1:5000");
    // Keys are sent to no address that another program has written.
    for (const url of ["http://example.com:80", "http://127.0.0.1.example.com:80", "http://127.0.0.1:80/x"]) {
      await lock.publish(url);
      assertEquals((await runningStack({ project })).url, "http://127.0.0.1:54321", url);
    }
  } finally {
    await Deno.remove(project, { recursive: true });
  }
});

Deno.test("dashboard and load print help, and exit with 2 for an invalid command line", async () => {
  const run = async (tool: string, ...args: string[]) => {
    const { code, stdout, stderr } = await new Deno.Command(Deno.execPath(), {
      args: ["run", "-A", "--no-check", `local/${tool}/main.ts`, ...args],
      cwd: ROOT,
      env: { NO_COLOR: "1" },
      stdin: "null",
    }).output();
    return { code, text: new TextDecoder().decode(stdout) + new TextDecoder().decode(stderr) };
  };
  for (const tool of ["dashboard", "load"]) {
    const help = await run(tool, "--help");
    assertEquals(help.code, 0, help.text);
    assertMatch(help.text, new RegExp(`^Usage: npx -y deno task ${tool} `));
    const invalid = await run(tool, "--prot", "1");
    assertEquals(invalid.code, 2);
    assertMatch(invalid.text, /^Error: Unknown option --prot: /);
  }
});
