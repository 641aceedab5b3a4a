import { assert, assertEquals, assertMatch, assertStringIncludes } from "@std/assert";
import { eventually, makeProject } from "./fixture.ts";
import { root } from "../support/components.ts";
import { gone, Run } from "./run.ts";

async function errorLine(run: Run, code: number): Promise<string> {
  assertEquals((await run.status).code, code, run.output);
  const lines = run.output.trim().split("\n").filter((line) => line !== "");
  assertEquals(lines.length, 1, run.output);
  return lines[0] ?? "";
}

Deno.test("a project keeps its data and keys, one stack at a time, until it is reset", async () => {
  await using fixture = await makeProject();
  const keysFile = `${fixture.root}/.local/keys.json`;
  let keys: string;
  {
    await using first = new Run(fixture.root, []);
    const url = await first.ready();
    assertStringIncludes(first.output, "applied 20260101000000_notes.sql, seed.sql");
    keys = await Deno.readTextFile(keysFile);
    const { publishableKey, secretKey, ...hidden }: Record<string, string> = JSON.parse(keys);
    for (const shown of [publishableKey, secretKey]) assertStringIncludes(first.output, shown ?? "");
    for (const secret of Object.values(hidden)) assert(!first.output.includes(secret), "a secret was printed");

    const second = new Run(fixture.root, []);
    assertStringIncludes(await errorLine(second, 1), `running already (process ${first.pid})`);
    const reset = new Run(fixture.root, ["--reset"]);
    assertStringIncludes(await errorLine(reset, 1), "running already");
    await using other = await makeProject();
    const taken = new Run(other.root, ["--port", new URL(url).port]);
    assertMatch(await errorLine(taken, 1), /^Error: Port \d+ is taken .* --port <port>\.$/);

    const signUp = /^TOKEN=.*$/m.exec(first.output)?.[0] ?? "";
    const shell = new Deno.Command("sh", { args: ["-c", `${signUp}; echo "$TOKEN"`] });
    assertMatch(new TextDecoder().decode((await shell.output()).stdout), /^ey[\w-]+\.[\w-]+\.[\w-]+\n$/);

    const [postmaster = ""] = (await Deno.readTextFile(`${fixture.root}/.local/postgres/data/postmaster.pid`)).split(
      "\n",
    );
    Deno.kill(Number(postmaster), "SIGKILL");
    await eventually(() => /ended unexpectedly.*\n\[postgres\] runs again\n/.test(first.output), "Postgres again");

    const below = await first.descendants();
    assert(below.length >= 8, `${below.length} processes`);
    first.kill("SIGINT");
    assertEquals((await first.status).code, 0, first.output);
    await gone(below);
  }
  await fixture.write("supabase/seed.sql", "-- changed");
  {
    await using again = new Run(fixture.root, []);
    const url = await again.ready();
    assertEquals(await Deno.readTextFile(keysFile), keys);
    assertMatch(again.output, /s {2}Database\nWarning: supabase\/seed\.sql was changed .*--reset[^]*Gateway/);
    const { publishableKey } = JSON.parse(keys);
    const greetings = await fetch(`${url}/rest/v1/greetings`, { headers: { apikey: publishableKey } });
    assertEquals(await greetings.json(), [{ body: "hello" }]);

    // Nobody is left to take anything down.
    const below = await again.descendants();
    again.kill("SIGKILL");
    await again.status;
    await gone(below);
  }
  {
    await using afresh = new Run(fixture.root, ["--reset"]);
    await afresh.ready();
    assertStringIncludes(afresh.output, `Deleted ${fixture.root}/.local/postgres`);
    assertEquals(afresh.output.includes("Warning:"), false);
    const below = await afresh.descendants();
    afresh.kill("SIGTERM");
    afresh.kill("SIGTERM");
    await afresh.status;
    await gone(below);
  }
});

Deno.test("when what launched it is killed, it ends too", async () => {
  await using fixture = await makeProject();
  const quote = (command: string[]) => command.map((part) => `'${part}'`).join(" ");
  // As `npx` does it: a shell that waits, and passes no signal on.
  await using run = new Run(fixture.root, [], (command) => ["sh", "-c", `${quote(command)}; exit $?`]);
  await run.ready();
  const below = await run.descendants();
  run.kill("SIGKILL");
  await run.status;
  await gone(below);
});

const asRoot = root();
Deno.test({
  name: `as root, in a folder that nobody else can enter${asRoot.note}`,
  ignore: asRoot.ignore,
  async fn() {
    await using fixture = await makeProject();
    await Deno.chmod(fixture.root, 0o700);
    const record = `${fixture.root}/.local/postgres.path`;
    let folder: string;
    {
      await using run = new Run(fixture.root, []);
      await run.ready();
      folder = (await Deno.readTextFile(record)).trim();
      const { mode, uid } = await Deno.stat(folder);
      assertEquals((mode ?? 0) & 0o777, 0o700);
      assert(uid !== 0);
      run.kill("SIGHUP");
      assertEquals((await run.status).code, 0, run.output);
    }
    {
      await using run = new Run(fixture.root, []);
      await run.ready();
      assertEquals(run.output.includes("applied"), false, "the data is that of the first run");
      run.kill("SIGINT");
      await run.status;
    }
    await using run = new Run(fixture.root, ["--reset"]);
    await run.ready();
    assertMatch(run.output, new RegExp(`^Deleted .*${folder}`));
    await Deno.stat(folder).then(() => assert(false, "the old folder is still there"), () => {});
    const next = (await Deno.readTextFile(record)).trim();
    run.kill("SIGINT");
    await run.status;
    await Deno.remove(next, { recursive: true });
  },
});

Deno.test("what is in the way is one line with the remedy", async () => {
  await using fixture = await makeProject();
  const unknown = new Run(fixture.root, ["--por", "1"]);
  assertStringIncludes(await errorLine(unknown, 2), "did you mean --port?");
  await fixture.write(".local", "a file, not a folder");
  const unwritable = new Run(fixture.root, []);
  assertMatch(await errorLine(unwritable, 1), /cannot write to .*\/\.local: .*chown/);
  await Deno.remove(`${fixture.root}/.local`);
  await fixture.write("supabase/migrations/20260101000000_notes.sql", "select 1;\nselect * from nowhere;");
  const broken = new Run(fixture.root, ["--quiet"]);
  assertMatch(await errorLine(broken, 1), /20260101000000_notes\.sql, line 2: relation "nowhere" does not exist/);
});
