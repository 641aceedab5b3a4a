import { assertEquals } from "@std/assert";
import { fromFileUrl } from "../../local/paths.ts";

const MODULE = new URL("../../local/invocation.ts", import.meta.url);

/** Returns what `commandOf` returns in a process of its own, since variables belong to the process. */
async function commandOf(args: readonly string[], env: Readonly<Record<string, string>>): Promise<string> {
  const code = `import { commandOf } from ${JSON.stringify(MODULE.href)};
console.log(commandOf(...JSON.parse(Deno.args[0])));`;
  const folder = await Deno.makeTempDir();
  try {
    await Deno.writeTextFile(`${folder}/main.ts`, code);
    const { stdout } = await new Deno.Command(Deno.execPath(), {
      args: [
        "run",
        "-A",
        "--no-check",
        `--config=${fromFileUrl(new URL("../../deno.json", import.meta.url))}`,
        `${folder}/main.ts`,
        JSON.stringify(args),
      ],
      env: { SUPABASE_POOL_PACKAGE: "", ...env },
    }).output();
    return new TextDecoder().decode(stdout).trim();
  } finally {
    await Deno.remove(folder, { recursive: true });
  }
}

Deno.test("commandOf: the task of a clone, or the entry point of the package; arguments are quoted for a shell", async () => {
  assertEquals(await commandOf(["dev", "--project", "../my app"], {}), "npx -y deno task dev --project '../my app'");
  assertEquals(
    await commandOf(["dev", "--project", "it's"], { SUPABASE_POOL_PACKAGE: "/p/node_modules/pool" }),
    "npx -y deno run -A npm:@example/supabase-pool/dev --project 'it'\\''s'",
  );
});
