import { assert, assertEquals } from "@std/assert";
import { fromFileUrl } from "../../local/paths.ts";
import { component, root } from "../support/components.ts";
import { createProject } from "./fixture.ts";
import { Run, untilExited } from "./run.ts";

const PROJECT = fromFileUrl(new URL("../..", import.meta.url));
const UNPRIVILEGED_ID = 65534;

async function run(command: string, ...args: string[]): Promise<boolean> {
  const { success } = await new Deno.Command(command, { args, stdout: "null", stderr: "null" }).output()
    .catch(() => ({ success: false }));
  return success;
}

/** Copies by hard links if possible: `node_modules` is big. */
async function copy(from: string, to: string): Promise<void> {
  assert(await run("cp", "-al", from, to) || await run("cp", "-a", from, to), `copying ${from}`);
}

const needs = root().ignore ? root() : component("setpriv");

Deno.test({
  name: `dev runs as an ordinary user, from a copy that only they can read${needs.note}`,
  ignore: needs.ignore,
  async fn() {
    await using fixture = await createProject();
    const home = fixture.root.replace(/\/[^/]*$/, "");
    const clone = `${home}/the stack`;
    await Deno.mkdir(clone);
    await Deno.copyFile(Deno.execPath(), `${home}/deno`);
    await Deno.chmod(`${home}/deno`, 0o755);
    await run("cp", "-a", `${PROJECT}/local`, `${PROJECT}/shared`, clone);
    for (const file of ["deno.json", "import_map.json", "deno.lock"]) {
      await Deno.copyFile(`${PROJECT}/${file}`, `${clone}/${file}`);
    }
    await copy(`${PROJECT}/node_modules`, `${clone}/node_modules`);
    // Not through the links: those files are the project's own.
    for (const path of [clone, fixture.root, home]) await Deno.chown(path, UNPRIVILEGED_ID, UNPRIVILEGED_ID);
    await run("chown", "-R", `${UNPRIVILEGED_ID}:${UNPRIVILEGED_ID}`, fixture.root, `${clone}/deno.lock`);
    await Deno.chmod(clone, 0o700);
    await Deno.chmod(fixture.root, 0o700);

    const as = ["setpriv", `--reuid=${UNPRIVILEGED_ID}`, `--regid=${UNPRIVILEGED_ID}`, "--clear-groups"];
    const environment = ["env", `HOME=${home}`, `DENO_DIR=${home}/.deno`];
    await using stack = new Run(fixture.root, [], ([, , , , ...rest]) => [
      ...as,
      ...environment,
      `${home}/deno`,
      "run",
      "-A",
      "--no-check",
      `${clone}/local/dev.ts`,
      ...rest.slice(1),
    ]);
    const url = await stack.ready();
    assertEquals(await (await fetch(`${url}/health/pool`)).text(), "/health/pool");
    for (const path of [".local/keys.json", ".local/postgres/data"]) {
      const { uid, mode } = await Deno.stat(`${fixture.root}/${path}`);
      assertEquals([uid, (mode ?? 0) & 0o077], [UNPRIVILEGED_ID, 0], path);
    }
    const below = await stack.descendants();
    stack.kill("SIGTERM");
    assertEquals((await stack.status).code, 0, stack.output);
    await untilExited(below);
  },
});
