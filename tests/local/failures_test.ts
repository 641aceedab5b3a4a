import { assert, assertEquals, assertMatch, assertRejects, assertStringIncludes } from "@std/assert";
import { lockProject } from "../../local/lock.ts";
import { supervise } from "../../local/postgres/supervisor.ts";
import { printable } from "../../local/printable.ts";
import { prepareState } from "../../local/project.ts";
import { StackError } from "../../local/stack_error.ts";
import { storageReason } from "../../local/storage_error.ts";
import { createProject, eventually } from "./fixture.ts";
import { Run, untilExited } from "./run.ts";

Deno.test("printable() replaces control characters, so that no output moves the cursor of a terminal", () => {
  const cases: [string, string][] = [
    ["a\tb ü 日本", "a\tb ü 日本"],
    ["\u001b[2J\u001b]0;title\u0007", "\\x1b[2J\\x1b]0;title\\x07"],
    ["a\rb\nc\u0000d\u009be\u007f", "a\\x0db\nc\\x00d\\x9be\\x7f"],
    ["a\u202eb\u2028c", "a\\u202eb\\u2028c"],
  ];
  for (const [text, expected] of cases) assertEquals(printable(text), expected);
});

Deno.test("storageReason() names a full disk and a read-only file system, of Deno and of other programs", async () => {
  if (Deno.build.os === "linux") {
    const full = await assertRejects(() => Deno.writeTextFile("/dev/full", "x"));
    assertEquals(storageReason(full)?.reason, "the disk is full");
    const missing = await assertRejects(() => Deno.writeTextFile("/nowhere/x", "x"));
    assertEquals(storageReason(missing), undefined);
  }
  assertEquals(storageReason(Object.assign(new Error("x"), { code: "EROFS" }))?.reason, "the file system is read-only");
  assertEquals(storageReason("FATAL: could not write: No space left on device")?.reason, "the disk is full");
  assertEquals(storageReason(new Error("other")), undefined);
});

Deno.test("prepareState() checks that the folder has room, and leaves no file", async () => {
  const folder = await Deno.makeTempDir();
  try {
    await prepareState(`${folder}/.local`);
    assertEquals((await Array.fromAsync(Deno.readDir(`${folder}/.local`))).map(({ name }) => name), [".gitignore"]);
  } finally {
    await Deno.remove(folder, { recursive: true });
  }
});

Deno.test("ProjectLock.check() rejects after the folder was deleted or created again", async () => {
  const folder = await Deno.makeTempDir();
  try {
    using lock = await lockProject(folder);
    await lock.check();
    await Deno.remove(`${folder}/stack.lock`);
    const error = await assertRejects(() => lock.check(), StackError, "was deleted while the stack was running");
    assertEquals(error.code, "STATE_LOST");
    using other = await lockProject(folder);
    await other.check();
    await assertRejects(() => lock.check(), StackError);
  } finally {
    await Deno.remove(folder, { recursive: true });
  }
});

Deno.test("supervise() gives up at once when the data may belong to another stack", async () => {
  const lost = new StackError("STATE_LOST", "gone");
  const gaveUp = Promise.withResolvers<StackError>();
  await using _supervisor = supervise(
    { onLost: undefined, lost: true, revive: () => Promise.reject(lost) },
    { log: () => {}, onGiveUp: gaveUp.resolve, delaysMs: [0, 60_000] },
  );
  assertEquals(await gaveUp.promise, lost);
});

Deno.test("dev whose state folder is deleted stops, and leaves a second one alone", async () => {
  await using fixture = await createProject();
  await using first = new Run(fixture.root, []);
  await first.ready();
  const below = await first.descendants();
  await Deno.remove(`${fixture.root}/.local`, { recursive: true });
  await using second = new Run(fixture.root, []);
  const url = await second.ready();
  // Postgres notices within a minute that its files are missing; a crash makes it notice at once.
  const { stdout } = await new Deno.Command("ps", { args: ["-o", "pid=,command=", "-p", below.join(",")] }).output();
  const postmaster = /^\s*(\d+)\s+(?!\/bin\/sh).*\/bin\/postgres -D /m.exec(new TextDecoder().decode(stdout))?.[1];
  if (postmaster !== undefined) Deno.kill(Number(postmaster), "SIGKILL");
  assertEquals((await first.status).code, 1, first.output);
  assertMatch(first.output, /Error: .*\.local was deleted while the stack was running: start it again\./);
  await untilExited(below);
  await eventually(async () => {
    const { publishableKey } = JSON.parse(await Deno.readTextFile(`${fixture.root}/.local/keys.json`));
    const response = await fetch(`${url}/rest/v1/greetings`, { headers: { apikey: publishableKey } });
    return (await response.text()).includes("hello");
  }, "a response of the second stack");
  assert(!second.output.includes("exited unexpectedly"), second.output);
});

Deno.test("dev prints what a request makes it log without control characters, and lists each function with its config", async () => {
  await using fixture = await createProject();
  await fixture.write(
    "functions/probe/index.ts",
    `export default { fetch(request: Request) { console.log(decodeURIComponent(new URL(request.url).pathname)); return new Response(); } };`,
  );
  await fixture.write("supabase/functions/extra/index.ts", "Deno.serve(() => new Response());");
  await fixture.write("supabase/functions/extra/deno.json", "{}");
  await fixture.write("supabase/functions/broken/index.ts", "const = 1;");
  await using run = new Run(fixture.root, []);
  const url = await run.ready();
  assertMatch(run.output, /extra\s+supabase\/functions\/extra\/deno\.json, requires a JWT/);
  assertMatch(run.output, /probe\s+no import map, checks callers itself/);
  assertMatch(run.output, /broken\s+no import map, requires a JWT, FAILED: SyntaxError.*broken\/index\.ts:1:7/);
  await (await fetch(`${url}/functions/v1/probe/%1b%5b2Jx%00`)).body?.cancel();
  await eventually(() => run.output.includes("/probe/"), "the line");
  assertStringIncludes(run.output, "[probe] /probe/\\x1b[2Jx\\x00");
  // deno-lint-ignore no-control-regex
  assert(!/[\u0000\u001b]/.test(run.output));
});
