import { assert, assertEquals, assertStringIncludes } from "@std/assert";

const read = (path: string) => Deno.readTextFile(new URL(`../../${path}`, import.meta.url));

Deno.test("docs/connection-log.md has the migration as it is", async () => {
  const migration = await read("supabase/migrations/20260108090000_connection_logs.sql");
  assertStringIncludes(await read("docs/connection-log.md"), `\`\`\`sql\n${migration.trimEnd()}\n\`\`\``);
});

Deno.test("docs/tunnel.md has each option and variable of the tunnel, and no other", async () => {
  const source = await read("shared/data/tunnel/config.ts");
  const text = await read("docs/tunnel.md");
  const shape = source.slice(
    source.indexOf("const tunnelShape"),
    source.indexOf("} satisfies Record<keyof TunnelConfig"),
  );
  const options = Array.from(shape.matchAll(/^ {2}(\w+): /gm), ([, name = ""]) => name);
  assert(options.length > 10);
  const documented = Array.from(text.matchAll(/^\| `(\w+)` +\| (?:`(SSH_\w+)`)?/gm));
  assertEquals(documented.map(([, name]) => name).sort(), [...options, "error", "error", "tunnelError"].sort());
  const variables = Array.from(source.matchAll(/^ {2}(SSH_\w+): "/gm), ([, name = ""]) => name);
  assertEquals(documented.flatMap(([, , name]) => name ?? []).sort(), variables.sort());
});

Deno.test("docs/connection-log.md has each option and status of the log", async () => {
  const text = await read("docs/connection-log.md");
  const source = await read("shared/data/connection_log/connection_log.ts");
  const options = source.slice(
    source.indexOf("export interface ConnectionLogOptions"),
    source.indexOf("/** Default: the isolate"),
  );
  for (const [, name] of options.matchAll(/readonly (\w+)\?:/g)) assertStringIncludes(text, `| \`${name}\``);
  const { CONNECTION_LOG_STATUSES } = await import("../../shared/data/connection_log/mod.ts");
  for (const status of CONNECTION_LOG_STATUSES) assertStringIncludes(text, `\`${status}\``);
});
