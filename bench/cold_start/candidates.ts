/**
 * The candidates of the cold start benchmark, and their processes.
 *
 * @module
 */
import { certificateEnvironment, DENO_2_1, linkedImportMap } from "../../local/deno_2_1/deno.ts";
import { readModuleGraph } from "../../local/deploy/module_graph.ts";
import type { Case, Measurement } from "../support/case.ts";
import type { DataApiProcess } from "../support/child.ts";
import { createProject } from "../handler/project.ts";

/** The metrics of a start, each in ms. */
export type Metric =
  /** Time from the start of the process to its exit after the first response. */
  | "processMs"
  /** Time to import the function's module. */
  | "importMs"
  /** Time of the first request after that. */
  | "answerMs"
  /** Sum of both. */
  | "totalMs"
  /** Processor time of the main thread in `totalMs`; Linux only. */
  | "cpuMs";

/** A candidate. */
export interface ColdStartCandidate {
  /** The key in the results. */
  readonly id: string;
  /** The name in tables and plots. */
  readonly title: string;
  /** The name of its module in `entries/`. */
  readonly entry: string;
  /** Environment variables of its process besides those of the project. Default: none. */
  readonly env?: Readonly<Record<string, string>>;
}

const WITH_SUPABASE: ColdStartCandidate = {
  id: "with_supabase",
  title: "withSupabase and zod",
  entry: "with_supabase",
};
const OURS: ColdStartCandidate = { id: "ours", title: "withPooledSupabase", entry: "pooled" };
/** Its parts are loaded after the first response. */
const OBSERVED: ColdStartCandidate = {
  id: "ours_observed",
  title: "the same, metrics and fleet",
  entry: "pooled",
  env: { POOL_METRICS: "on", POOL_FLEET: "on" },
};

/** The candidates that verify no caller. */
export const CANDIDATES: readonly ColdStartCandidate[] = [
  { id: "bare", title: "supabase-js, zod and a bare client", entry: "bare" },
  WITH_SUPABASE,
  OURS,
  OBSERVED,
];

/** The candidates that verify the token of a user. */
export const VERIFIED_CANDIDATES: readonly ColdStartCandidate[] = [
  { id: "bare", title: "verifyAuth, zod and a bare client", entry: "verify_auth" },
  WITH_SUPABASE,
  OURS,
  OBSERVED,
];

/** A signed-in user and the key set of the project. */
export interface Caller {
  readonly token: string;
  /** A JWKS (RFC 7517), as JSON. */
  readonly jwks: string;
}

/** Creates a user of the project at `url`. */
export async function signedInUser(url: string): Promise<Caller> {
  const { env: { jwks }, tokens: [token = ""] } = await createProject(url, 1);
  return { token, jwks: JSON.stringify(jwks) };
}

const FIRST_REQUEST = new URL("first_request.ts", import.meta.url).pathname;

/** Returns the path of a candidate's module. */
export function moduleOf({ entry }: ColdStartCandidate): string {
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

/** A Deno to start processes with. */
export interface Runtime {
  /** The path of the executable. */
  readonly program: string;
  /** Additional flags of `deno run`. */
  readonly flags: readonly string[];
  /** Additional environment variables. */
  readonly env: Readonly<Record<string, string>>;
}

/** The Deno that runs this process. */
export const THIS_DENO: Runtime = { program: Deno.execPath(), flags: [], env: {} };

/**
 * Installs the Deno that the hosted runtime is compatible with, from npm. It
 * reads neither our configuration nor our lock file; a bundle needs neither.
 *
 * @param cache A folder for its caches. It needs its own, because a Deno clears caches of another version.
 * @throws {Error} when npm cannot run it, with its message.
 */
export async function hostedDeno(cache: string): Promise<Runtime> {
  const env = { DENO_DIR: cache };
  const { success, stdout, stderr } = await new Deno.Command("npx", {
    args: ["-y", DENO_2_1, "eval", "--no-config", "--no-lock", "console.log(Deno.execPath())"],
    cwd: new URL(".", import.meta.url),
    env: { ...env, ...certificateEnvironment(), DENO_NO_UPDATE_CHECK: "1", DENO_NO_PACKAGE_JSON: "1", NO_COLOR: "1" },
    stdin: "null",
  }).output();
  if (!success) throw new Error(`Cannot run ${DENO_2_1}: ${new TextDecoder().decode(stderr)}`);
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

/** The circumstances of a start. */
export interface Circumstances {
  /** The Data API to query. */
  readonly dataApi: Pick<DataApiProcess, "url">;
  /** The Deno to start. Default: {@linkcode THIS_DENO}. */
  readonly runtime?: Runtime;
  /** The caller. Default: anonymous. */
  readonly caller?: Caller | undefined;
  /** Environment variables besides those of the project. Default: none. */
  readonly env?: Readonly<Record<string, string>> | undefined;
}

/**
 * Starts a process that handles one request with the function in `module`.
 *
 * @throws {Error} when it fails, with its message.
 */
export async function startCold(
  module: string,
  { dataApi, runtime = THIS_DENO, caller, env }: Circumstances,
): Promise<Measurement<Metric>> {
  const command = new Deno.Command(runtime.program, {
    args: ["run", "--quiet", "--no-check", ...runtime.flags, "-A", FIRST_REQUEST, `file://${module}`],
    env: {
      ...runtime.env,
      ...env,
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

/** Options of {@linkcode startCase}. */
export interface StartCase extends Circumstances {
  readonly id: string;
  readonly title: string;
  readonly candidates: readonly ColdStartCandidate[];
  /** Returns the path of a candidate's module. */
  readonly pathOf: (start: ColdStartCandidate) => string;
}

/** Returns a case that starts each candidate once per round. */
export function startCase({ id, title, candidates, pathOf, ...circumstances }: StartCase): Case<Metric> {
  return {
    id,
    title,
    metrics: ["importMs", "answerMs", "totalMs", "cpuMs", "processMs"],
    candidates: candidates.map((start) => ({
      id: start.id,
      title: start.title,
      measure: () => startCold(pathOf(start), { ...circumstances, env: start.env }),
    })),
  };
}

/** The modules and packages of a function. */
export interface Loaded {
  readonly id: string;
  readonly title: string;
  /** The number of our modules per folder. */
  readonly folders: Readonly<Record<string, number>>;
  /** The imported packages. */
  readonly packages: readonly string[];
}

/** Reads the module graph of a candidate. */
export async function loadedBy(start: ColdStartCandidate): Promise<Loaded> {
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
