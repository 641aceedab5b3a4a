/**
 * `deno task test:postgres <version>`: runs the tests of direct Postgres on another major version of the server, which
 * is downloaded when it is first used. `all` stands for every version.
 *
 * Further arguments are passed to `deno test`, for example `deno task test:postgres 14 --filter transaction`.
 *
 * @module
 */
import { DEFAULT_VERSION, OTHER_VERSIONS } from "./binaries.ts";

const VERSIONS: readonly string[] = [...OTHER_VERSIONS, DEFAULT_VERSION];

const root = new URL("../../", import.meta.url);

/**
 * Runs the tests on one version.
 *
 * @param lock A copy of the lock file: a package in the repository's own would be downloaded by every task.
 */
async function run(version: string, lock: string, extra: readonly string[]): Promise<number> {
  console.log(`PostgreSQL ${version}`);
  const command = new Deno.Command(Deno.execPath(), {
    args: ["test", "-A", "--parallel", `--lock=${lock}`, ...extra, "tests/postgres/"],
    cwd: root,
    env: { POSTGRES_VERSION: version },
    stdin: "null",
  });
  return (await command.spawn().status).code;
}

async function main([version, ...extra]: readonly string[]): Promise<number> {
  const chosen = version === "all" ? VERSIONS : VERSIONS.filter((one) => one === version);
  if (chosen.length === 0) {
    console.error(`Usage: deno task test:postgres ${VERSIONS.join("|")}|all [arguments of deno test]`);
    return 2;
  }
  const folder = await Deno.makeTempDir({ prefix: "test-postgres-" });
  try {
    const lock = `${folder}/deno.lock`;
    await Deno.copyFile(new URL("deno.lock", root), lock);
    const codes: number[] = [];
    for (const one of chosen) codes.push(await run(one, lock, extra));
    return Math.max(...codes);
  } finally {
    await Deno.remove(folder, { recursive: true });
  }
}

if (import.meta.main) Deno.exit(await main(Deno.args));
