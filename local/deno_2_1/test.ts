/**
 * `deno task test:2.1`: runs the tests of `shared/` and `functions/` on the
 * version of Deno that the hosted runtime is compatible with. It supports neither
 * `links` nor this lock file, so it gets an import map of its own.
 *
 * Arguments are passed to `deno test`, for example `deno task test:2.1 --filter health`.
 *
 * @module
 */
import { certificateEnvironment, DENO_2_1, linkedImportMap } from "./deno.ts";

/**
 * The test folders of code that runs on the hosted runtime. Not `postgres`: as
 * root its server needs another user, which `spawn` of this Deno ignores.
 */
const FOLDERS = [
  "pool",
  "resilience",
  "environment",
  "supabase",
  "services",
  "http",
  "functions",
  "isolation",
  "observability",
  "data/query_builder",
  "cache",
];

/**
 * Test files of folders whose other files need Postgres. Of the tunnel, those of sessions are left out: this Deno keeps
 * operations of sockets that have ended, which its check for leaks reports.
 */
const FILES = [
  "data/error_statics_test.ts",
  "data/kysely/connection_test.ts",
  "data/tunnel/channel_slots_test.ts",
  "data/tunnel/config_test.ts",
  "data/tunnel/keys_test.ts",
  "data/tunnel/untrusted_server_test.ts",
];

const root = new URL("../../", import.meta.url);

async function exists(folder: string): Promise<boolean> {
  try {
    return (await Deno.stat(new URL(folder, root))).isDirectory;
  } catch (error) {
    if (error instanceof Deno.errors.NotFound) return false;
    throw error;
  }
}

async function run(extra: string[]): Promise<number> {
  const folders: string[] = FILES.map((name) => `tests/${name}`);
  for (const name of FOLDERS) if (await exists(`tests/${name}`)) folders.push(`tests/${name}/`);
  const command = new Deno.Command("npx", {
    args: [
      ...["-y", DENO_2_1, "test", "-A", "--parallel", "--no-lock", "--no-config"],
      "--v8-flags=--expose-gc",
      // Types are checked by the newer compiler, with the options of deno.json.
      ...["--no-check", "--node-modules-dir=none", "--import-map", await linkedImportMap(root), ...extra, ...folders],
    ],
    cwd: root,
    env: certificateEnvironment(),
    stdin: "null",
  });
  return (await command.spawn().status).code;
}

if (import.meta.main) Deno.exit(await run(Deno.args));
