/** The code in the documentation is code that type-checks. */
import { assert, assertEquals } from "@std/assert";

const ROOT = new URL("../../", import.meta.url);

/** What the blocks talk of without having made it, as their text says. */
const AMBIENT = `
import type { SupabaseClient } from "@supabase/supabase-js";
import type { PooledContext, SupabaseService as OurService } from "${new URL("shared/mod.ts", ROOT)}";
import type { Database as OurDatabase } from "${new URL("functions/_app/database.ts", ROOT)}";
declare global {
  const ctx: PooledContext<OurDatabase>;
  const supabaseClient: SupabaseClient<OurDatabase>;
  const supabaseService: OurService;
  const url: string;
  const key: string;
  const publishableKey: string;
  const token: string;
}
`;

interface Block {
  readonly name: string;
  readonly code: string;
}

/** The blocks of a text that stand alone; those marked `ts ignore` are parts of something. */
function blocksOf(file: string, text: string): Block[] {
  const blocks: Block[] = [];
  for (const { 1: indent = "", 2: code = "", index } of text.matchAll(/^( *)```ts\n(.*?)^ *```$/gms)) {
    const line = text.slice(0, index).split("\n").length;
    const lines = code.split("\n").map((one) => one.startsWith(indent) ? one.slice(indent.length) : one);
    // What was and what comes instead are two programs, which share names.
    lines.join("\n").split(/^(?=\/\/ (?:Before|After))/m).forEach((part, index) => {
      blocks.push({ name: `${file.replaceAll(/\W/g, "_")}_${line}_${index}.ts`, code: part });
    });
  }
  return blocks;
}

/** The names that a block without imports may use, by the module that exports them. */
const MODULES = {
  SupabaseConnectionPool: "shared/mod.ts",
  SupabaseService: "shared/mod.ts",
  CategoryService: "functions/_app/category_service.ts",
  PooledCategoryService: "functions/_app/pooled_category_service.ts",
};

/** Its imports, led to this repository; what it makes is exported, so that it need not be used. */
function standingAlone({ code }: Block): string {
  const imports = /^import /m.test(code) ? [] : Object.entries(MODULES)
    .filter(([name]) => new RegExp(`\\b${name}\\b`).test(code))
    .map(([name, module]) => `import { ${name} } from "${new URL(module, ROOT)}";\n`);
  return imports.join("") +
    code.replaceAll(/"(?:\.\.\/\.\.|\.)\/shared\//g, `"${new URL("shared/", ROOT)}`)
      .replaceAll('"../_app/', `"${new URL("functions/_app/", ROOT)}`)
      .replaceAll(/^const /gm, "export const ") +
    "\nexport {};\n";
}

async function documents(): Promise<string[]> {
  const files = ["README.md"];
  for await (const { name } of Deno.readDir(new URL("docs/", ROOT))) {
    if (name.endsWith(".md")) files.push(`docs/${name}`);
  }
  return files;
}

Deno.test("the code in README.md and docs/ type-checks", async () => {
  const folder = await Deno.makeTempDir();
  try {
    const blocks: Block[] = [{ name: "ambient.ts", code: AMBIENT }];
    for (const file of await documents()) {
      blocks.push(...blocksOf(file, await Deno.readTextFile(new URL(file, ROOT))));
    }
    assert(blocks.length > 12, `only ${blocks.length} blocks found`);
    for (const block of blocks) await Deno.writeTextFile(`${folder}/${block.name}`, standingAlone(block));
    const { code, stderr } = await new Deno.Command(Deno.execPath(), {
      args: [
        "check",
        "--config",
        new URL("deno.json", ROOT).pathname,
        ...blocks.map(({ name }) => `${folder}/${name}`),
      ],
      env: { NO_COLOR: "1" },
      stdout: "null",
      stderr: "piped",
    }).output();
    const said = new TextDecoder().decode(stderr).split("\n").filter((line) => !line.startsWith("Check "));
    assertEquals([code, said.join("\n").trim()], [0, ""]);
  } finally {
    await Deno.remove(folder, { recursive: true });
  }
});

Deno.test("the links between README.md and docs/ lead somewhere", async () => {
  for (const file of await documents()) {
    const text = await Deno.readTextFile(new URL(file, ROOT));
    for (const { 1: target = "" } of text.matchAll(/\]\((?!https?:)([^)#]+)/g)) {
      await Deno.stat(new URL(target, new URL(file, ROOT)));
    }
  }
});
