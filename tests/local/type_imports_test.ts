import { assertEquals } from "@std/assert";
import { resolutionFlags } from "../../local/functions/import_map.ts";
import { readImportMap, typeImports } from "../../local/functions/type_imports.ts";
import { toFileUrl } from "../../local/paths.ts";

async function folderOf(files: Record<string, string>): Promise<{ root: string } & AsyncDisposable> {
  const root = await Deno.makeTempDir({ prefix: "type-imports-" });
  for (const [path, text] of Object.entries(files)) {
    await Deno.mkdir(`${root}/${path}`.replace(/\/[^/]*$/, ""), { recursive: true });
    await Deno.writeTextFile(`${root}/${path}`, text);
  }
  return { root, [Symbol.asyncDispose]: () => Deno.remove(root, { recursive: true }) };
}

const SOURCES = {
  "hello/index.ts":
    'import "jsr:@supabase/functions-js/edge-runtime.d.ts";\nimport "./own.d.ts";\nimport x from "y";\n',
  "hello/lib/a.ts": "import 'https://esm.sh/@supabase/functions-js@2.4.1/src/edge-runtime.d.ts'\n",
  "_shared/b.ts": '// import "jsr:not/this.d.ts";\nimport "@supabase/functions-js/edge-runtime.d.ts";\n',
  "other/index.ts": 'import "jsr:@other/types.d.ts";\n',
};

Deno.test("typeImports() finds imports of declarations that are not files of the project", async () => {
  await using folder = await folderOf(SOURCES);
  assertEquals(await typeImports(`${folder.root}/hello/index.ts`), [
    "@supabase/functions-js/edge-runtime.d.ts",
    "https://esm.sh/@supabase/functions-js@2.4.1/src/edge-runtime.d.ts",
    "jsr:@supabase/functions-js/edge-runtime.d.ts",
  ]);
});

Deno.test("readImportMap() resolves targets and scopes, and adds what deno.json implies", async () => {
  await using folder = await folderOf({
    "f/deno.json":
      '{\n  // a comment\n  "imports": { "zod": "npm:zod@3", "pool": "../_shared/mod.js", "x/": "https://x/" },\n}',
    "f/import_map.json": '{"imports":{"zod":"npm:zod@3"},"scopes":{"./a/":{"b":"./b.ts"}}}',
    "g/deno.json": '{"importMap":"../f/import_map.json"}',
  });
  const base = toFileUrl(folder.root);
  assertEquals(await readImportMap(`${folder.root}/f/deno.json`), {
    imports: { zod: "npm:zod@3", pool: `${base}/_shared/mod.js`, "x/": "https://x/", "zod/": "npm:/zod@3/" },
    scopes: {},
  });
  const map = { imports: { zod: "npm:zod@3" }, scopes: { [`${base}/f/a/`]: { b: `${base}/f/b.ts` } } };
  assertEquals(await readImportMap(`${folder.root}/f/import_map.json`), map);
  assertEquals((await readImportMap(`${folder.root}/g/deno.json`)).scopes, map.scopes);
});

Deno.test("resolutionFlags() load nothing of type declarations, whatever registry has them", async () => {
  const unreachable = "http://127.0.0.1:9/types.d.ts";
  await using folder = await folderOf({
    "f/deno.json":
      '{"imports":{"types":"http://127.0.0.1:9/","value":"../value.ts"},"compilerOptions":{"strict":false}}',
    "f/import_map.json": '{"imports":{"value":"../value.ts"}}',
    "value.ts": "export const value: number = 1;",
    "f/index.ts":
      `import "types/x.d.ts";\nimport "${unreachable}";\nimport { value } from "value";\nconsole.log(value);`,
  });
  const run = async (importMap: string | undefined, types: readonly string[]) => {
    const source = importMap === undefined ? "none" : "function";
    const flags = await resolutionFlags({ importMap, importMapSource: source }, undefined, types);
    const args = ["run", "-q", "--no-check", "--allow-import", ...flags, `${folder.root}/f/index.ts`];
    const { stdout } = await new Deno.Command(Deno.execPath(), { args, stderr: "null" }).output();
    return new TextDecoder().decode(stdout).trim();
  };
  const types = ["types/x.d.ts", unreachable];
  for (const name of ["deno.json", "import_map.json"]) {
    assertEquals(await run(`${folder.root}/f/${name}`, types), "1", name);
    assertEquals(await run(`${folder.root}/f/${name}`, []), "", name);
  }
});
