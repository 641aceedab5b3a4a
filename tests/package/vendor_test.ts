import { assertEquals } from "@std/assert";
import { buildArtifacts } from "../../local/package/artifacts.ts";
import { PACKAGE_NAME } from "../../local/package/identity.ts";
import { libraryImports, writeLibrary } from "../../local/package/vendor.ts";
import { startFakeProject } from "../support/fake_project.ts";
import { printed, program, ROOT, runCommand } from "./support.ts";

Deno.test("writeLibrary() writes a bundle that type-checks and runs as files of a project", async () => {
  await using project = startFakeProject();
  project.answer = () => Response.json([{ id: 1 }]);
  const folder = await Deno.makeTempDir({ prefix: "package-vendor-" });
  try {
    await writeLibrary(`${folder}/_shared/pool`, (await buildArtifacts(ROOT)).npm);
    const own = {
      [PACKAGE_NAME]: "./_shared/pool/mod.js",
      [`${PACKAGE_NAME}/fields`]: "./_shared/pool/fields.js",
      [`${PACKAGE_NAME}/postgres`]: "./_shared/pool/postgres.js",
      [`${PACKAGE_NAME}/http/postgres`]: "./_shared/pool/http/postgres.js",
    };
    const imports = { ...own, ...await libraryImports() };
    await Deno.writeTextFile(`${folder}/deno.json`, JSON.stringify({ imports }));
    await Deno.writeTextFile(`${folder}/program.ts`, program(""));
    const { code, output } = await runCommand([Deno.execPath(), "run", "--no-lock", "--check", "-A", "program.ts"], {
      cwd: folder,
      env: { PROJECT_URL: project.url },
    });
    assertEquals(code, 0, output);
    assertEquals(printed(output), {
      status: 200,
      total: "2",
      body: [{ id: 1 }],
      kinds: ["function", "function", "limit,offset"],
    });
    await Deno.writeTextFile(
      `${folder}/wrong.ts`,
      `import { withPooledSupabase } from "${PACKAGE_NAME}";\nwithPooledSupabase({ auth: "nonsense" }, () => new Response());\n`,
    );
    const wrong = await runCommand([Deno.execPath(), "check", "--no-lock", "wrong.ts"], { cwd: folder });
    assertEquals([wrong.code, wrong.output.includes("nonsense")], [1, true], wrong.output);
  } finally {
    await Deno.remove(folder, { recursive: true });
  }
});

Deno.test("writeLibrary() links types from modules only, and leaves other files as they are", async () => {
  const folder = await Deno.makeTempDir({ prefix: "package-vendor-" });
  try {
    await Deno.mkdir(`${folder}/own/dist/chunks`, { recursive: true });
    const files = { "mod.js": "export {};\n", "mod.d.ts": 'export * from "./chunks/a.js";\n', "chunks/a.js.map": "{}" };
    for (const [name, text] of Object.entries(files)) await Deno.writeTextFile(`${folder}/own/dist/${name}`, text);
    await writeLibrary(`${folder}/pool`, `${folder}/own`);
    const written = (name: string) => Deno.readTextFile(`${folder}/pool/${name}`);
    assertEquals(await written("mod.js"), '/* @ts-self-types="./mod.d.ts" */\nexport {};\n');
    assertEquals(await written("mod.d.ts"), 'export * from "./chunks/a.d.ts";\n');
    assertEquals(await written("chunks/a.js.map"), "{}");
  } finally {
    await Deno.remove(folder, { recursive: true });
  }
});
