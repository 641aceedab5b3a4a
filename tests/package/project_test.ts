import { assert, assertEquals, assertStringIncludes } from "@std/assert";
import { JsrRegistry } from "../../local/package/jsr_registry.ts";
import { PACKAGE_NAME, packageSpecifier } from "../../local/package/identity.ts";
import { VENDOR_FOLDER } from "../../local/init/vendor.ts";
import { SUPABASE_CLI } from "../../local/deploy/supabase_cli.ts";
import { toFileUrl } from "../../local/paths.ts";
import { runDeploy } from "../deploy/command.ts";
import { ManagementApi } from "../deploy/management_api.ts";
import { npmProgram } from "../support/components.ts";
import { createFolder, type Folder, type PackedPackage, runCommand, servePackage } from "./support.ts";

const cli = await npmProgram(SUPABASE_CLI);
const FUNCTION = "supabase/functions/hello";

/** Creates a project as the CLI's documentation says, and replaces `withSupabase` in its function. */
async function createProject({ registry }: PackedPackage): Promise<Folder> {
  const folder = await createFolder(registry);
  const env = { DO_NOT_TRACK: "1", SUPABASE_NO_UPDATE_NOTIFIER: "1" };
  for (const args of [["init"], ["functions", "new", "hello"]]) {
    const { code, output } = await runCommand(["npx", "-y", SUPABASE_CLI, ...args], { cwd: folder.path, env });
    assertEquals(code, 0, output);
  }
  const template = await Deno.readTextFile(`${folder.path}/${FUNCTION}/index.ts`);
  const pooled = template
    .replace('{ withSupabase } from "@supabase/server"', `{ withPooledSupabase } from "${PACKAGE_NAME}"`)
    .replace("withSupabase(", "withPooledSupabase(");
  assertStringIncludes(pooled, "fetch: withPooledSupabase(");
  await folder.write(`${FUNCTION}/index.ts`, pooled);
  const config = JSON.parse(await Deno.readTextFile(`${folder.path}/${FUNCTION}/deno.json`));
  config.imports[PACKAGE_NAME] = packageSpecifier();
  await folder.write(`${FUNCTION}/deno.json`, JSON.stringify(config));
  await folder.write(`${FUNCTION}/.npmrc`, registry.npmrc);
  return folder;
}

/** A JSR registry with the types that the CLI's template imports. */
async function serveEdgeRuntimeTypes(): Promise<JsrRegistry> {
  const folder = await Deno.makeTempDir({ prefix: "package-jsr-" });
  try {
    const exports = { "./edge-runtime.d.ts": "./edge-runtime.d.ts" };
    const config = { name: "@supabase/functions-js", version: "2.99.0", exports };
    await Deno.writeTextFile(`${folder}/deno.json`, JSON.stringify(config));
    await Deno.writeTextFile(
      `${folder}/edge-runtime.d.ts`,
      "declare const EdgeRuntime: { waitUntil(p: unknown): void };\n",
    );
    const registry = new JsrRegistry();
    await registry.add(new URL(`${toFileUrl(folder)}/`));
    return registry;
  } finally {
    await Deno.remove(folder, { recursive: true });
  }
}

/** A project of the CLI's template, and the registries that it takes packages from. */
interface PackagedProject extends AsyncDisposable {
  readonly packed: PackedPackage;
  readonly project: Folder;
  /** Variables under which the tools of the package run. */
  readonly env: Readonly<Record<string, string>>;
  /** Runs `deploy` of the package with a stand-in for the Management API. Returns the uploaded files of `hello`. */
  deploy(): Promise<string[]>;
}

async function setUpProject(): Promise<PackagedProject> {
  await using parts = new AsyncDisposableStack();
  const packed = parts.use(await servePackage());
  const project = parts.use(await createProject(packed));
  const jsr = parts.use(await serveEdgeRuntimeTypes());
  const env = { ...packed.env, JSR_URL: jsr.url };
  const held = parts.move();
  return {
    packed,
    project,
    env,
    async deploy() {
      await using api = new ManagementApi();
      const { code, output } = await runDeploy({
        api,
        command: ["run", "-A", "--no-lock", `${packed.artifacts.npm}/tools/deploy.js`],
        cwd: project.path,
        args: ["hello", `--remote=${api.ref}`, "--yes"],
        env,
      });
      assertEquals(code, 0, output);
      return [...api.deployed.get("hello")?.files.keys() ?? []].sort();
    },
    [Symbol.asyncDispose]: () => held.disposeAsync(),
  };
}

/** Starts `dev` of the package, and returns what it prints until the stack runs. */
function startDev(packed: PackedPackage, cwd: string, jsr: string) {
  const child = new Deno.Command(Deno.execPath(), {
    args: ["run", "-A", "--no-lock", `${packed.artifacts.npm}/tools/dev.js`, "--port", "0", "--db-port", "0"],
    cwd,
    env: { NO_COLOR: "1", JSR_URL: jsr, SUPABASE_POOL_CACHE: packed.env["SUPABASE_POOL_CACHE"] ?? "" },
    stdin: "null",
    stdout: "piped",
    stderr: "inherit",
  }).spawn();
  let output = "";
  const running = Promise.withResolvers<void>();
  const read = (async () => {
    for await (const text of child.stdout.pipeThrough(new TextDecoderStream())) {
      output += text;
      if (/Secret key/.test(output)) running.resolve();
    }
    running.reject(new Error(`dev ended: ${output}`));
  })();
  running.promise.catch(() => {});
  return {
    running: running.promise,
    output: () => output,
    async stop(): Promise<number> {
      child.kill("SIGTERM");
      const { code } = await child.status;
      await read;
      return code;
    },
  };
}

Deno.test({
  name: `A project of the CLI's template type-checks with the package, and runs in its dev${cli.note}`,
  ignore: cli.ignore,
  fn: async () => {
    await using set = await setUpProject();
    const { packed, project, env } = set;
    const options = { cwd: `${project.path}/${FUNCTION}`, env: { JSR_URL: env["JSR_URL"] ?? "" } };
    const check = await runCommand([Deno.execPath(), "check", "--no-lock", "index.ts"], options);
    assertEquals(check.code, 0, check.output);

    const dev = startDev(packed, project.path, options.env.JSR_URL);
    try {
      await dev.running;
      const [, url = ""] = /(http:\/\/127\.0\.0\.1:\d+)/.exec(dev.output()) ?? [];
      const [apikey = ""] = /sb_publishable_[\w-]+/.exec(dev.output()) ?? [];
      const response = await fetch(`${url}/functions/v1/hello`, {
        method: "POST",
        headers: { apikey, "content-type": "application/json" },
        body: JSON.stringify({ name: "Functions" }),
      });
      const body = await response.text();
      assertEquals([response.status, body], [200, '{"message":"Hello Functions!"}'], dev.output());
      assert(response.headers.has("x-pool-total-connections"));
    } catch (error) {
      await dev.stop();
      throw error;
    }
    assertEquals(await dev.stop(), 0);
  },
});

Deno.test({
  name: `deploy of the package uploads a function's own files only${cli.note}`,
  ignore: cli.ignore,
  fn: async () => {
    await using set = await setUpProject();
    const files = await set.deploy();
    assertEquals(files, [`${FUNCTION}/deno.json`, `${FUNCTION}/index.ts`]);
  },
});

Deno.test({
  name:
    `init, doctor and deploy of the package work on a project of the CLI's template, with a copy of the library${cli.note}`,
  ignore: cli.ignore,
  fn: async () => {
    await using set = await setUpProject();
    const { packed, project, env } = set;
    const tool = (name: string, ...args: string[]) => {
      const command = [Deno.execPath(), "run", "-A", "--no-lock", `${packed.artifacts.npm}/tools/${name}.js`];
      return runCommand([...command, ...args], { cwd: project.path, env });
    };
    // As the template has it, before its function imports the package.
    const config = JSON.parse(await Deno.readTextFile(`${project.path}/${FUNCTION}/deno.json`));
    delete config.imports[PACKAGE_NAME];
    await project.write(`${FUNCTION}/deno.json`, JSON.stringify(config));

    const init = await tool("init", ".", "--vendor", "--yes", "--force");
    assertEquals(init.code, 0, init.output);
    const doctor = await tool("doctor", ".");
    assertStringIncludes(doctor.output, "hello", doctor.output);

    const files = await set.deploy();
    assertEquals(files.filter((path) => !path.startsWith(VENDOR_FOLDER)), [
      `${FUNCTION}/deno.json`,
      `${FUNCTION}/index.ts`,
    ]);
    // The entry point and the chunks that it imports; types, other entry points and documents stay here.
    const copied = files.map((path) => path.slice(VENDOR_FOLDER.length + 1)).filter((path) =>
      /^(mod|chunks\/[\w-]+)\.js$/.test(path)
    );
    // Of the chunks, all but `main` and `base` are loaded on demand: fleet, metrics, traces and so on.
    assert(copied.includes("mod.js") && copied.length <= 16, copied.join());
    assertEquals(copied.length, files.length - 2, files.join());
  },
});
