/**
 * The tool `init` on projects of every shape.
 *
 * @module
 */
import { assert, assertEquals, assertStringIncludes } from "@std/assert";
import { fromFileUrl } from "../../local/paths.ts";

const MIGRATION = "20260109090000_fleet.sql";
const MAIN = fromFileUrl(new URL("../../local/init/main.ts", import.meta.url));
const NAME = "@example/supabase-pool";

/** A project in a temporary folder. */
class TestProject implements AsyncDisposable {
  readonly root: string;

  private constructor(root: string) {
    this.root = root;
  }

  static async create(files: Readonly<Record<string, string>>): Promise<TestProject> {
    const project = new TestProject(await Deno.realPath(await Deno.makeTempDir()));
    for (const [path, text] of Object.entries(files)) await project.write(path, text);
    return project;
  }

  async write(path: string, text: string): Promise<void> {
    const file = `${this.root}/${path}`;
    await Deno.mkdir(file.slice(0, file.lastIndexOf("/")), { recursive: true });
    await Deno.writeTextFile(file, text);
  }

  read(path: string): Promise<string> {
    return Deno.readTextFile(`${this.root}/${path}`);
  }

  async run(command: string, ...args: string[]): Promise<{ code: number; out: string; err: string }> {
    const { code, stdout, stderr } = await new Deno.Command(command, {
      args,
      cwd: this.root,
      stdin: "null",
      env: { NO_COLOR: "1" },
    }).output();
    const decoder = new TextDecoder();
    return { code, out: decoder.decode(stdout), err: decoder.decode(stderr) };
  }

  init(...args: string[]): Promise<{ code: number; out: string; err: string }> {
    return this.run(Deno.execPath(), "run", "-A", "--no-check", MAIN, ...args);
  }

  async git(...args: string[]): Promise<void> {
    const { code, err } = await this.run("git", "-c", "user.name=a", "-c", "user.email=a@example.com", ...args);
    assertEquals(code, 0, err);
  }

  async [Symbol.asyncDispose](): Promise<void> {
    await Deno.remove(this.root, { recursive: true });
  }
}

const HELLO = `import { createClient } from "npm:@supabase/supabase-js@2";

Deno.serve(async () => {
  const admin = createClient(Deno.env.get("SUPABASE_URL")!, Deno.env.get("SUPABASE_SERVICE_ROLE_KEY")!);
  return Response.json(await admin.from("notes").select());
});
`;

Deno.test("init prepares a project, shows the diff, and changes nothing in a second run", async () => {
  await using project = await TestProject.create({
    "supabase/config.toml": 'project_id = "a"\n\n[functions.hello]\nverify_jwt = false\n',
    "supabase/functions/hello/index.ts": HELLO,
    "supabase/functions/hello/deno.json":
      `{\n  // The imports.\n  "imports": {\n    "zod": "npm:zod@4" // schemas\n  }\n}\n`,
    "supabase/functions/bye/index.ts": `Deno.serve(() => new Response("bye"));\n`,
    "supabase/functions/_shared/a.ts": "export {};\n",
    ".gitignore": "node_modules",
  });
  const shown = await project.init("--dry-run");
  assertEquals([shown.code, shown.err], [0, ""]);
  assertStringIncludes(
    shown.out,
    "--- a/supabase/functions/hello/deno.json\n+++ b/supabase/functions/hello/deno.json\n",
  );
  assertStringIncludes(shown.out, `+    "${NAME}": "npm:${NAME}@^`);
  assertStringIncludes(shown.out, "supabase/functions/hello/index.ts:4  a client with the service role key");
  assertStringIncludes(shown.out, "Nothing was written: 7 files would change.");
  assertEquals(await project.read(".gitignore"), "node_modules");

  const written = await project.init("--yes");
  assertEquals([written.code, written.err], [0, ""]);
  assertStringIncludes(
    await project.read("supabase/functions/hello/deno.json"),
    `{\n  // The imports.\n  "imports": {\n    "zod": "npm:zod@4", // schemas\n    "${NAME}": "npm:${NAME}@^`,
  );
  assertEquals(
    (await project.read("supabase/config.toml")).split("\n\n[").slice(2),
    [
      'functions.bye]\nenabled = true\nverify_jwt = true\nimport_map = "./functions/bye/deno.json"\nentrypoint = "./functions/bye/index.ts"',
      'functions.health]\nenabled = true\nverify_jwt = false\nimport_map = "./functions/health/deno.json"\nentrypoint = "./functions/health/index.ts"\n',
    ],
  );
  assertEquals(await project.read(".gitignore"), "node_modules\n.local/\n");

  const again = await project.init("--yes");
  assertEquals(again.code, 0);
  assert(again.out.startsWith("Nothing to change: the project is prepared.\n"), again.out);
});

Deno.test("init copies the migration of the fleet, after the newest of the project, and once", async () => {
  const text = await Deno.readTextFile(new URL(`../../supabase/migrations/${MIGRATION}`, import.meta.url));
  await using project = await TestProject.create({
    "supabase/config.toml": "",
    "supabase/migrations/20250101000000_notes.sql": "create table notes (id int);\n",
    "supabase/migrations/99999999999999_notes.txt": "not a migration",
  });
  const first = await project.init("--yes");
  assertEquals(first.code, 0, first.err);
  assertStringIncludes(first.out, `Note: supabase/migrations/${MIGRATION} lets isolates report to the fleet: apply it`);
  assertEquals(await project.read(`supabase/migrations/${MIGRATION}`), text);
  const again = await project.init("--yes");
  assertStringIncludes(again.out, "Nothing to change");
  assert(!again.out.includes(MIGRATION), again.out);

  const newest: Record<string, string> = {
    "20990101235959": "20990101235960_fleet.sql",
    "20260109090000": "20260109090001_fleet.sql",
    "0099": MIGRATION,
  };
  for (const [version, expected] of Object.entries(newest)) {
    await using later = await TestProject.create({
      "supabase/config.toml": "",
      [`supabase/migrations/${version}_last.sql`]: "select 1;\n",
    });
    assertEquals((await later.init("--yes")).code, 0);
    assertEquals(await later.read(`supabase/migrations/${expected}`), text, version);
  }

  await using renamed = await TestProject.create({
    "supabase/config.toml": "",
    "supabase/migrations/20250101000000_isolates.sql": text,
  });
  await renamed.init("--yes");
  assertEquals(await Deno.stat(`${renamed.root}/supabase/migrations/${MIGRATION}`).catch(() => undefined), undefined);
});

Deno.test("init writes no migration to a folder outside the project", async () => {
  await using outside = await TestProject.create({ "a.txt": "" });
  await using project = await TestProject.create({ "supabase/config.toml": "" });
  await Deno.symlink(outside.root, `${project.root}/supabase/migrations`);
  const { code, out } = await project.init("--yes");
  assertEquals(code, 0);
  assertStringIncludes(out, `${MIGRATION} is left out: supabase/migrations is a link to a folder outside the project.`);
  assertEquals((await Array.fromAsync(Deno.readDir(outside.root))).length, 1);
});

Deno.test("init --migrate rewrites functions, and leaves them alone in a second run", async () => {
  await using project = await TestProject.create({
    "supabase/config.toml": "",
    "supabase/functions/hello/index.ts": HELLO,
  });
  const { code, out } = await project.init("--migrate", "--yes", "--json");
  const report = JSON.parse(out);
  assertEquals([code, report.written, report.functions[0].migration.left], [0, true, []]);
  assertStringIncludes(await project.read("supabase/functions/hello/index.ts"), "const admin = ctx.supabaseAdmin;");
  assertStringIncludes((await project.init("--migrate", "--yes")).out, "Nothing to change");
});

Deno.test("init --only rewrites the named functions, and suggests a name for an unknown one", async () => {
  await using project = await TestProject.create({
    "supabase/config.toml": "",
    "supabase/functions/hello/index.ts": HELLO,
    "supabase/functions/other/index.ts": HELLO,
  });
  const unknown = await project.init("--only", "helo");
  assertEquals([unknown.code, unknown.err], [2, 'Error: Function "helo" not found: did you mean hello?\n']);
  await project.init("--only=hello", "--yes");
  assertStringIncludes(await project.read("supabase/functions/hello/index.ts"), NAME);
  assertEquals(await project.read("supabase/functions/other/index.ts"), HELLO);
});

Deno.test("init refuses without a terminal and --yes, and with uncommitted changes", async () => {
  await using project = await TestProject.create({
    "supabase/config.toml": "",
    "supabase/functions/hello/index.ts": HELLO,
  });
  const asked = await project.init();
  assertEquals(asked.code, 2);
  assertStringIncludes(asked.err, "No terminal to ask on: pass --yes");

  await project.git("init", "-q");
  const dirty = await project.init("--yes");
  assertEquals(dirty.code, 1);
  assertStringIncludes(
    dirty.err,
    "Error: Uncommitted changes in supabase/config.toml, supabase/functions/hello/index.ts: commit",
  );
  assertEquals((await project.init("--yes", "--force", "--dry-run")).code, 2);

  await project.git("add", ".");
  await project.git("commit", "-qm", "a");
  assertEquals((await project.init("--yes")).code, 0);
  assertStringIncludes((await project.init("--yes")).out, "Nothing to change");
});

Deno.test("init says what to do where there is no project", async () => {
  await using project = await TestProject.create({
    "apps/api/supabase/config.toml": "",
    "apps/api/supabase/functions/a/index.ts": "",
    "apps/web/a.txt": "",
  });
  const above = await project.init();
  assertEquals(above.code, 1);
  assertEquals(
    above.err,
    `Error: Not a Supabase project: ${project.root}/supabase/config.toml not found; pass apps/api.\n`,
  );
  const none = await project.init("apps/web");
  assertStringIncludes(none.err, "create a project there with: npx supabase init.");
  const inner = await project.init("apps/api/supabase");
  assertStringIncludes(inner.err, "is the supabase folder itself: pass the folder that contains it.");
  const missing = await project.init("nowhere");
  assertEquals(missing.err, `Error: Folder not found: ${project.root}/nowhere. Pass the folder of a project.\n`);
  assert(!above.err.includes("    at "));
});

Deno.test("init keeps line breaks, byte order marks and shared import maps", async () => {
  await using project = await TestProject.create({
    "supabase/config.toml": 'project_id = "a"\r\n',
    "supabase/functions/import_map.json": '\uFEFF{ "imports": { "zod": "npm:zod@4" } }\r\n',
    "supabase/functions/hello/index.ts": `\uFEFF${HELLO.replaceAll("\n", "\r\n")}`,
    "supabase/functions/own/index.ts": "Deno.serve(() => new Response());",
    "supabase/functions/own/deno.jsonc": "{\r\n\t// none yet\r\n}\r\n",
  });
  assertEquals((await project.init("--migrate", "--yes")).code, 0);
  const shared = await project.read("supabase/functions/import_map.json");
  assert(
    /^\uFEFF?\{ "imports": \{ "zod": "npm:zod@4", "@example\/supabase-pool": "npm:[^"]+" \} \}\r\n$/.test(shared),
    shared,
  );
  const own = await project.read("supabase/functions/own/deno.jsonc");
  assert(own.startsWith('{\r\n\t// none yet\r\n  "imports": {\r\n'), own);
  for (const path of ["config.toml", "functions/hello/index.ts", "functions/own/deno.jsonc"]) {
    assert(!/[^\r]\n/.test(await project.read(`supabase/${path}`)), path);
  }
  const bytes = await Deno.readFile(`${project.root}/supabase/functions/hello/index.ts`);
  assertEquals([...bytes.slice(0, 6)], [0xef, 0xbb, 0xbf, ...new TextEncoder().encode("imp")]);
});

Deno.test("init takes over the imports that a new deno.json would hide", async () => {
  await using project = await TestProject.create({
    "supabase/config.toml": "",
    "supabase/functions/deno.json": '{ "imports": { "zod": "npm:zod@4", "lib/": "./_shared/" } }',
    "supabase/functions/hello/index.ts": HELLO,
  });
  await project.init("--yes");
  const { imports } = JSON.parse(await project.read("supabase/functions/hello/deno.json"));
  assertEquals([imports.zod, imports["lib/"]], ["npm:zod@4", "../_shared/"]);
});

Deno.test("init leaves out what is outside the project, disabled, or without a module, and says so", async () => {
  await using outside = await TestProject.create({ "index.ts": HELLO });
  await using project = await TestProject.create({
    "supabase/config.toml": "[functions.off]\nenabled = false\n\n[functions.gone]\n",
    "supabase/functions/off/index.ts": HELLO,
  });
  await Deno.symlink(outside.root, `${project.root}/supabase/functions/linked`);
  const { code, out } = await project.init("--migrate", "--yes");
  assertEquals(code, 0);
  assertStringIncludes(out, "off is left out: it is disabled");
  assertStringIncludes(out, "gone is left out: its entrypoint supabase/functions/gone/index.ts does not exist.");
  assertStringIncludes(out, "linked is left out: supabase/functions/linked/index.ts is outside the project");
  assert(!out.includes("no functions of its own yet"), out);
  assertEquals(await outside.read("index.ts"), HELLO);
});

Deno.test("init --migrate resolves imports by the import map, and says that a file is not UTF-8", async () => {
  const imports = { "sb": "npm:@supabase/supabase-js@2", "shared/": "./supabase/functions/_shared/" };
  await using project = await TestProject.create({
    "supabase/config.toml": '[functions.hello]\nimport_map = "../import_map.json"\n',
    "import_map.json": JSON.stringify({ imports }),
    "supabase/functions/hello/index.ts":
      `import { adminClient } from "shared/clients.ts";\nDeno.serve(async () => Response.json(await adminClient().from("notes").select()));\n`,
    "supabase/functions/_shared/clients.ts":
      `import { createClient } from "sb";\nexport const adminClient = () => createClient(Deno.env.get("SUPABASE_URL")!, Deno.env.get("SUPABASE_SERVICE_ROLE_KEY")!);\n`,
  });
  await Deno.mkdir(`${project.root}/supabase/functions/latin`);
  await Deno.writeFile(
    `${project.root}/supabase/functions/latin/index.ts`,
    Uint8Array.from(`// caf\xe9\n${HELLO}`, (character) => character.charCodeAt(0)),
  );
  await project.git("init", "-q");
  await project.git("add", ".");
  await project.git("commit", "-qm", "a");
  await project.write("import_map.json", JSON.stringify({ imports }, undefined, 2));
  // The import map is changed as well, and is not below supabase/.
  assertStringIncludes((await project.init("--migrate", "--yes")).err, "Uncommitted changes in import_map.json");

  const { code, out, err } = await project.init("--migrate", "--yes", "--force");
  assertEquals([code, err], [0, ""]);
  assertStringIncludes(out, "supabase/functions/latin/index.ts:1  by hand: The file is not UTF-8 text");
  assertStringIncludes(await project.read("supabase/functions/hello/index.ts"), 'ctx.supabaseAdmin.from("notes")');
});

Deno.test("init follows an entrypoint and an import map of config.toml", async () => {
  await using project = await TestProject.create({
    "supabase/config.toml": '[functions.hello]\nentrypoint = "../src/api/main.ts"\nimport_map = "../maps/api.json"\n',
    "src/api/main.ts": HELLO,
    "maps/api.json": '{\n    "imports": {}\n}\n',
  });
  assertEquals((await project.init("--migrate", "--yes", "--target", "./vendor/mod.js")).code, 0);
  assertEquals(
    await project.read("maps/api.json"),
    `{\n    "imports": {\n        "${NAME}": "../vendor/mod.js"\n    }\n}\n`,
  );
  assertStringIncludes(await project.read("src/api/main.ts"), "withPooledSupabase");
});

Deno.test("init names the file and line of JSON that does not parse, and writes nothing", async () => {
  await using project = await TestProject.create({
    "supabase/config.toml": "",
    "supabase/functions/hello/index.ts": HELLO,
    "supabase/functions/hello/deno.json": '{\n  "imports": {\n',
  });
  const { code, err } = await project.init("--yes");
  assertEquals(code, 1);
  assertStringIncludes(err, "Error: Cannot add the import to supabase/functions/hello/deno.json: line 3: ");
  assertEquals(await project.run("ls", "-A", project.root).then(({ out }) => out), "supabase\n");
});

Deno.test("init --help names every option; an unknown one gets a suggestion", async () => {
  await using project = await TestProject.create({});
  const { code, out } = await project.init("--help");
  assertEquals(code, 0);
  for (const flag of ["--migrate", "--only", "--dry-run", "--yes", "--force", "--target", "--json"]) {
    assertStringIncludes(out, flag);
  }
  const wrong = await project.init("--migrat");
  assertEquals([wrong.code, wrong.err], [2, "Error: Unknown option --migrat: did you mean --migrate?\n"]);
  assertEquals((await project.init("a", "b")).code, 2);
  assertEquals((await project.init("--only")).err, "Error: --only needs a value, for example --only hello,orders.\n");
});

Deno.test("init --vendor copies the library into the project, once, and imports it from there", async () => {
  await using project = await TestProject.create({
    "supabase/config.toml": 'project_id = "x"\n',
    "supabase/functions/hello/index.ts": "Deno.serve(() => new Response());\n",
    "supabase/functions/hello/deno.json": '{ "imports": {} }\n',
  });
  const first = await project.init("--vendor", "--yes");
  assertEquals(first.code, 0, first.err);
  assertStringIncludes(first.out, "The library is copied to supabase/functions/_shared/supabase-pool (");
  const map = JSON.parse(await project.read("supabase/functions/hello/deno.json"));
  assertEquals(map.imports, { [NAME]: "../_shared/supabase-pool/mod.js" });
  // The copy needs no import map: it names its packages by version.
  const copy = `${project.root}/supabase/functions/_shared/supabase-pool`;
  const check = await project.run(Deno.execPath(), "check", "--no-config", "--no-lock", `${copy}/mod.js`);
  assertEquals(check.code, 0, check.err);
  assertStringIncludes((await project.init("--vendor", "--yes")).out, "Nothing to change");
  await Deno.writeTextFile(`${copy}/old.js`, "");
  assertStringIncludes((await project.init("--vendor", "--yes")).out, "The library is copied");
  assertEquals(await Deno.stat(`${copy}/old.js`).catch(() => undefined), undefined);
  const both = await project.init("--vendor", "--target", "x", "--yes");
  assertEquals([both.code, both.err], [2, "Error: --vendor and --target exclude each other: pass one of them.\n"]);
});
