import { assert, assertEquals, assertMatch, assertStringIncludes } from "@std/assert";
import { createProject, eventually } from "./fixture.ts";
import { root } from "../support/components.ts";
import { Run, untilExited } from "./run.ts";

async function errorLine(run: Run, code: number): Promise<string> {
  assertEquals((await run.status).code, code, run.output);
  const lines = run.output.trim().split("\n").filter((line) => line !== "");
  assertEquals(lines.length, 1, run.output);
  return lines[0] ?? "";
}

Deno.test("dev keeps data and keys of a project, runs one stack at a time, and deletes them with --reset", async () => {
  await using fixture = await createProject();
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
    const samePort = new Run(fixture.root, ["--port", new URL(url).port]);
    assertStringIncludes(await errorLine(samePort, 1), `running already (process ${first.pid})`);
    const reset = new Run(fixture.root, ["--reset"]);
    assertStringIncludes(await errorLine(reset, 1), "running already");
    await using other = await createProject();
    const taken = new Run(other.root, ["--port", new URL(url).port]);
    assertMatch(await errorLine(taken, 1), /^Error: Port \d+ is in use: .* --port <port>\.$/);

    const signUp = /^TOKEN=.*$/m.exec(first.output)?.[0] ?? "";
    const shell = new Deno.Command("sh", { args: ["-c", `${signUp}; echo "$TOKEN"`] });
    assertMatch(new TextDecoder().decode((await shell.output()).stdout), /^ey[\w-]+\.[\w-]+\.[\w-]+\n$/);

    const call = /^curl .*\/probe .*$/m.exec(first.output)?.[0] ?? "";
    const called = await new Deno.Command("sh", { args: ["-c", call] }).output();
    assertMatch(new TextDecoder().decode(called.stdout), /^HTTP\/1\.1 200 [^]*\r\n\r\nversion 1$/);

    const [postmaster = ""] = (await Deno.readTextFile(`${fixture.root}/.local/postgres/data/postmaster.pid`)).split(
      "\n",
    );
    Deno.kill(Number(postmaster), "SIGKILL");
    await eventually(
      () => /exited unexpectedly.*\n\[postgres\] running again\n/.test(first.output),
      "the restart of Postgres",
    );

    const below = await first.descendants();
    assert(below.length >= 8, `${below.length} processes`);
    first.kill("SIGINT");
    assertEquals((await first.status).code, 0, first.output);
    await untilExited(below);
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

    // A killed process stops nothing itself.
    const below = await again.descendants();
    again.kill("SIGKILL");
    await again.status;
    await untilExited(below);
  }
  {
    await using renewed = new Run(fixture.root, ["--reset"]);
    await renewed.ready();
    assertStringIncludes(renewed.output, `Deleted ${fixture.root}/.local/postgres`);
    assertEquals(renewed.output.includes("Warning:"), false);
    const below = await renewed.descendants();
    renewed.kill("SIGTERM");
    renewed.kill("SIGTERM");
    await renewed.status;
    await untilExited(below);
  }
});

Deno.test("dev stops when the process that started it is killed", async () => {
  await using fixture = await createProject();
  const quote = (command: string[]) => command.map((part) => `'${part}'`).join(" ");
  // As `npx` does: a shell that waits and forwards no signal.
  await using run = new Run(fixture.root, [], (command) => ["sh", "-c", `${quote(command)}; exit $?`]);
  await run.ready();
  const below = await run.descendants();
  run.kill("SIGKILL");
  await run.status;
  await untilExited(below);
});

const asRoot = root();
Deno.test({
  name: `dev as root, in a folder that only root can enter, keeps its data in /var/tmp${asRoot.note}`,
  ignore: asRoot.ignore,
  async fn() {
    await using fixture = await createProject();
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

Deno.test("dev that is asked to stop during the start says so, and leaves no process behind", async () => {
  await using fixture = await createProject();
  await using run = new Run(fixture.root, []);
  await eventually(() => run.output.includes("s  Postgres"), "the first step", 120_000);
  const below = await run.descendants();
  run.kill("SIGINT");
  assertEquals((await run.status).code, 0, run.output);
  assertStringIncludes(run.output, "Stopping (SIGINT) once the start has ended; Ctrl-C again stops it at once");
  assertEquals(run.output.includes("Gateway"), false, "the banner was printed");
  await untilExited(below);
});

Deno.test("dev refuses a folder that is not a project, and creates nothing in it", async () => {
  const folder = await Deno.makeTempDir({ prefix: "local-stack-test-" });
  try {
    assertMatch(await errorLine(new Run(folder, []), 1), /is not a project.*: pass .*--project .*supabase init/);
    assertEquals(await Array.fromAsync(Deno.readDir(folder)), []);
    await Deno.mkdir(`${folder}/supabase/functions`, { recursive: true });
    const below = new Run(`${folder}/supabase`, []);
    assertStringIncludes(await errorLine(below, 1), `--project ${await Deno.realPath(folder)}.`);
  } finally {
    await Deno.remove(folder, { recursive: true });
  }
});

Deno.test("dev reports an error in one line with its fix", async () => {
  await using fixture = await createProject();
  const unknown = new Run(fixture.root, ["--por", "1"]);
  assertStringIncludes(await errorLine(unknown, 2), "did you mean --port?");
  await fixture.write(".local", "a file, not a folder");
  const unwritable = new Run(fixture.root, []);
  assertMatch(await errorLine(unwritable, 1), /Cannot write to .*\/\.local: .*chown/);
  await Deno.remove(`${fixture.root}/.local`);
  await fixture.write("supabase/migrations/20260101000000_notes.sql", "select 1;\nselect * from nowhere;");
  const broken = new Run(fixture.root, ["--quiet"]);
  assertMatch(await errorLine(broken, 1), /20260101000000_notes\.sql, line 2: relation "nowhere" does not exist/);
});
