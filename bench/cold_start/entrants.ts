/**
 * The functions that are started cold, and how.
 *
 * @module
 */
import { certificateEnvironment, DENO_2_1, linkedImportMap } from "../../local/deno_2_1/deno.ts";
import { readModuleGraph } from "../../local/deploy/module_graph.ts";
import type { Case, Measurement } from "../support/case.ts";
import type { DataApiProcess } from "../support/child.ts";
import { createProject } from "../handler/project.ts";

/** The figures a start yields, each in ms. */
export type Metric =
  /** From the start of the process to the end of its first answer, the process's own start included. */
  | "processMs"
  /** Loading the function's module with all it imports. */
  | "importMs"
  /** Answering the first request after that. */
  | "answerMs"
  /** Both. */
  | "totalMs"
  /** The processor's time in `totalMs`, of the thread that runs the function; where the system tells it, as Linux does. */
  | "cpuMs";

/** One of those that are compared. */
export interface Start {
  /** Its key in the results. */
  readonly id: string;
  /** Its name in tables and plots. */
  readonly title: string;
  /** The name of its module in `entries/`. */
  readonly entry: string;
}

const WITH_SUPABASE: Start = { id: "with_supabase", title: "withSupabase and zod", entry: "with_supabase" };
const OURS: Start = { id: "ours", title: "withPooledSupabase", entry: "pooled" };

/** Those that answer anybody. */
export const STARTS: readonly Start[] = [
  { id: "bare", title: "supabase-js, zod and a bare client", entry: "bare" },
  WITH_SUPABASE,
  OURS,
];

/** Those that answer users, whose tokens they verify. */
export const VERIFIED_STARTS: readonly Start[] = [
  { id: "bare", title: "verifyAuth, zod and a bare client", entry: "verify_auth" },
  WITH_SUPABASE,
  OURS,
];

/** A signed-in user, and the keys that the token is verified with. */
export interface Caller {
  readonly token: string;
  /** A JWKS (RFC 7517), as JSON. */
  readonly jwks: string;
}

/** One, of the project at `url`. */
export async function signedInUser(url: string): Promise<Caller> {
  const { env: { jwks }, tokens: [token = ""] } = await createProject(url, 1);
  return { token, jwks: JSON.stringify(jwks) };
}

const FIRST_REQUEST = new URL("first_request.ts", import.meta.url).pathname;

/** Path of a function's module. */
export function moduleOf({ entry }: Start): string {
  return new URL(`entries/${entry}.ts`, import.meta.url).pathname;
}

/** An import of a bundle's own file, static or dynamic. */
const IMPORTED_FILE = /((?:import|from) ?\(?)"\.\/([\w-]+)\.[jt]s"/g;

const CONFIG = new URL("../../deno.json", import.meta.url).pathname;

/**
 * Bundles a function with all it imports and returns the path of the bundle in
 * `folder`. Modules that are imported on demand go into files of their own, as
 * in a deployment, and are not read before.
 *
 * @param module The path of the function's module.
 * @throws {Error} when the bundler fails, with its message.
 */
export async function bundle(module: string, folder: string): Promise<string> {
  const name = module.replace(/^.*\//, "").replace(/\.ts$/, "");
  const output = `${folder}/${name}`;
  const { success, stderr } = await new Deno.Command(Deno.execPath(), {
    args: [
      "bundle",
      "--quiet",
      "--config",
      CONFIG,
      "--platform",
      "deno",
      "--code-splitting",
      "--outdir",
      output,
      module,
    ],
    stdin: "null",
    stdout: "null",
  }).output();
  if (!success) throw new Error(`Cannot bundle ${module}: ${new TextDecoder().decode(stderr)}`);
  return `${output}/${name}.js`;
}

/** Whose process it is. */
export interface Runtime {
  /** Path of its program. */
  readonly program: string;
  /** What it is told beside the rest. */
  readonly flags: readonly string[];
  /** What stands in its environment beside the rest. */
  readonly env: Readonly<Record<string, string>>;
}

/** The Deno that runs this. */
export const THIS_DENO: Runtime = { program: Deno.execPath(), flags: [], env: {} };

/**
 * The Deno whose interfaces the hosted runtime offers, from npm. It reads
 * neither our configuration nor our lock file; a bundle needs neither.
 *
 * @param cache A folder for its caches. They are its own: a Deno empties what one of another version has left, and
 * every start would compile all there is.
 * @throws {Error} when npm cannot run it, with what it said.
 */
export async function hostedDeno(cache: string): Promise<Runtime> {
  const env = { DENO_DIR: cache };
  const { success, stdout, stderr } = await new Deno.Command("npx", {
    args: ["-y", DENO_2_1, "eval", "--no-config", "--no-lock", "console.log(Deno.execPath())"],
    cwd: new URL(".", import.meta.url),
    env: { ...env, ...certificateEnvironment(), DENO_NO_UPDATE_CHECK: "1", DENO_NO_PACKAGE_JSON: "1", NO_COLOR: "1" },
    stdin: "null",
  }).output();
  if (!success) throw new Error(`${DENO_2_1} does not run: ${new TextDecoder().decode(stderr)}`);
  return { program: new TextDecoder().decode(stdout).trim(), flags: ["--no-config", "--no-lock"], env };
}

/**
 * Has `runtime` transpile a bundle, as the hosted runtime transpiles what is
 * deployed: its V8 does not parse `using` declarations.
 *
 * @param bundle The path of a bundle from {@linkcode bundle}.
 * @returns The path of the transpiled bundle, which lies beside it.
 * @throws {Error} when the transpiler fails, with its message.
 */
export async function transpile(bundle: string, runtime: Runtime): Promise<string> {
  const [, source = "", name = ""] = /^(.*)\/([^/]+)\.js$/.exec(bundle) ?? [];
  const [typed, output] = [`${source}.typed`, `${source}.transpiled`];
  const files = (await Array.fromAsync(Deno.readDir(source))).map((entry) => entry.name.replace(/\.js$/, ""));
  for (const folder of [typed, output]) await Deno.mkdir(folder);
  // Deno transpiles TypeScript only.
  for (const file of files) {
    const text = await Deno.readTextFile(`${source}/${file}.js`);
    await Deno.writeTextFile(`${typed}/${file}.ts`, text.replaceAll(IMPORTED_FILE, '$1"./$2.ts"'));
  }
  const { success, stderr } = await new Deno.Command(runtime.program, {
    args: ["cache", "--quiet", ...runtime.flags, `${typed}/${name}.ts`],
    env: { ...runtime.env, NO_COLOR: "1" },
    stdin: "null",
  }).output();
  if (!success) throw new Error(`Cannot transpile ${bundle}: ${new TextDecoder().decode(stderr)}`);
  for (const file of files) {
    const text = await Deno.readTextFile(`${runtime.env["DENO_DIR"]}/gen/file${typed}/${file}.ts.js`);
    // The last lines are a source map and the metadata of Deno's cache.
    const code = text.replace(/^\/\/# sourceMappingURL=.*$/m, "").replace(/^\/\/ denoCacheMetadata=.*$/m, "");
    await Deno.writeTextFile(`${output}/${file}.js`, code.replaceAll(IMPORTED_FILE, '$1"./$2.js"'));
  }
  return `${output}/${name}.js`;
}

/** What the functions are started on. */
export interface Circumstances {
  /** The Data API they ask. */
  readonly dataApi: Pick<DataApiProcess, "url">;
  /** Whose processes. Default: {@linkcode THIS_DENO}. */
  readonly runtime?: Runtime;
  /** Who calls. Default: anybody. */
  readonly caller?: Caller | undefined;
}

/**
 * Starts a process that answers one request with the function in `module`.
 *
 * @throws {Error} when it fails, with what it said.
 */
export async function startCold(
  module: string,
  { dataApi, runtime = THIS_DENO, caller }: Circumstances,
): Promise<Measurement<Metric>> {
  const command = new Deno.Command(runtime.program, {
    args: ["run", "--quiet", "--no-check", ...runtime.flags, "-A", FIRST_REQUEST, `file://${module}`],
    env: {
      ...runtime.env,
      SUPABASE_URL: dataApi.url,
      SUPABASE_PUBLISHABLE_KEY: "sb_publishable_benchmark",
      SUPABASE_SECRET_KEY: "sb_secret_benchmark",
      SUPABASE_JWKS: caller?.jwks ?? '{"keys":[]}',
      ...caller === undefined ? {} : { CALLER_TOKEN: caller.token },
      NO_COLOR: "1",
    },
    stdin: "null",
  });
  const startMs = performance.now();
  const { success, stdout, stderr } = await command.output();
  const processMs = performance.now() - startMs;
  if (!success) throw new Error(`The first request failed: ${new TextDecoder().decode(stderr)}`);
  const { importMs, answerMs, cpuMs } = JSON.parse(new TextDecoder().decode(stdout));
  return {
    processMs,
    importMs,
    answerMs,
    totalMs: importMs + answerMs,
    ...typeof cpuMs === "number" ? { cpuMs } : {},
  };
}

/** What is started in a case. */
export interface StartCase extends Circumstances {
  readonly id: string;
  readonly title: string;
  readonly starts: readonly Start[];
  /** Where the module of one of them is. */
  readonly pathOf: (start: Start) => string;
}

/** Such a case. */
export function startCase({ id, title, starts, pathOf, ...circumstances }: StartCase): Case<Metric> {
  return {
    id,
    title,
    metrics: ["importMs", "answerMs", "totalMs", "cpuMs", "processMs"],
    entrants: starts.map((start) => ({
      id: start.id,
      title: start.title,
      measure: () => startCold(pathOf(start), circumstances),
    })),
  };
}

/** What a function loads. */
export interface Loaded {
  readonly id: string;
  readonly title: string;
  /** How many of our modules there are in each folder. */
  readonly folders: Readonly<Record<string, number>>;
  /** The packages they import. */
  readonly packages: readonly string[];
}

/** Looks up what a function's module loads. */
export async function loadedBy(start: Start): Promise<Loaded> {
  const root = new URL("../..", import.meta.url).pathname;
  const { files, packages, errors } = await readModuleGraph({
    entrypoint: moduleOf(start),
    importMap: await linkedImportMap(new URL("../..", import.meta.url)),
    root,
  });
  const [error] = errors;
  if (error) throw new Error(error.message);
  const folders: Record<string, number> = {};
  for (const file of files) {
    const folder = file.slice(root.length).replace(/\/?[^/]*$/, "");
    folders[folder] = (folders[folder] ?? 0) + 1;
  }
  return { id: start.id, title: start.title, folders, packages };
}
