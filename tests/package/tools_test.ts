import { assert, assertEquals, assertMatch, assertStringIncludes } from "@std/assert";
import { PACKAGE_NAME, TOOLS } from "../../local/package/identity.ts";
import { toolSources } from "../../local/package/tools.ts";
import { createFolder, ROOT, runCommand, servePackage } from "./support.ts";

Deno.test("toolSources() contains every tool of the package, and neither JSR nor test packages", async () => {
  const sources = await toolSources(ROOT);
  for (const module of Object.values(TOOLS)) assert(module in sources, `${module} is missing`);
  // `init` copies it. The package has no folder `supabase`, which would make it a project.
  const migration = await Deno.readTextFile(new URL("supabase/migrations/20260109090000_fleet.sql", ROOT));
  assertEquals(sources["local/init/20260109090000_fleet.sql"], migration);
  assertEquals(Object.keys(sources).filter((path) => path.startsWith("supabase/")), []);
  const { imports } = JSON.parse(sources["import_map.json"] ?? "");
  assertEquals(Object.values<string>(imports).filter((target) => target.startsWith("jsr:")), []);
  for (const unused of ["fast-check", "playwright-core", "rolldown", "tarn"]) {
    assert(!(unused in imports), unused);
  }
  const links = Object.values<string>(imports).filter((target) => target.startsWith("."));
  for (const link of links) assert(link.slice(2) in sources, `${link} is missing`);
});

Deno.test("The tools run from npm, and from the unpacked package", async () => {
  await using packed = await servePackage();
  await using folder = await createFolder(packed.registry);
  const run = (tool: string) =>
    runCommand([Deno.execPath(), "run", "-A", "--no-lock", tool, "--help"], { cwd: folder.path, env: packed.env });
  const dev = await run(`npm:${PACKAGE_NAME}/dev`);
  assertEquals(dev.code, 0, dev.output);
  assertStringIncludes(dev.output, "Runs Postgres, the Data API");
  const deploy = await run(`${packed.artifacts.npm}/tools/deploy.js`);
  assertEquals(deploy.code, 0, deploy.output);
  assertStringIncludes(deploy.output, "supabase functions deploy");
  // Nothing of ours is written into the project.
  assertEquals(await Array.fromAsync(Deno.readDir(folder.path), ({ name }) => name), [".npmrc"]);
});

Deno.test("A tool exits with the status of its program, and concurrent first runs unpack one whole folder", async () => {
  await using packed = await servePackage();
  await using folder = await createFolder(packed.registry);
  const command = [Deno.execPath(), "run", "-A", "--no-lock", `${packed.artifacts.npm}/tools/dev.js`, "--prot"];
  const runs = await Promise.all(Array.from({ length: 3 }, () => {
    return runCommand(command, { cwd: folder.path, env: packed.env });
  }));
  for (const { code, output } of runs) {
    assertEquals(code, 2, output);
    assertMatch(output, /Unknown option --prot: did you mean --port\?/);
  }
  const cache = packed.env["SUPABASE_POOL_CACHE"] ?? "";
  assertEquals((await Array.fromAsync(Deno.readDir(cache))).length, 1);
});
