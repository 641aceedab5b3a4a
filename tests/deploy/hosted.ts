/**
 * This project, deployed by the real CLI, on isolates like the hosted ones,
 * with the real Data API and Auth behind them.
 *
 * @module
 */
import { assertEquals } from "@std/assert";
import { type Stack, startStack } from "../../local/mod.ts";
import { runDeploy } from "./command.ts";
import { hostedEnvironment, HostedProject } from "./hosted_project.ts";
import { HostedIsolate, type HostedRuntime } from "./hosted_runtime.ts";
import { ManagementApi } from "./management_api.ts";
import { copyDatabase, copyProject } from "./project_copy.ts";
import { unpack, type UploadedTree } from "./tree.ts";

/** A deployment and the services behind it. */
export interface Deployment extends AsyncDisposable {
  /** The Data API and Auth. It runs no functions. */
  readonly stack: Stack;
  /** The project's reference. */
  readonly ref: string;
  /** The uploads, by function. */
  readonly trees: ReadonlyMap<string, UploadedTree>;
}

/** Deploys, and starts the services behind the functions. */
export async function deployProject(): Promise<Deployment> {
  await using parts = new AsyncDisposableStack();
  const database = parts.use(await copyDatabase());
  const stack = parts.use(await startStack({ root: database.root, ephemeral: true }));
  const trees = new Map<string, UploadedTree>();
  await using api = new ManagementApi();
  await using project = await copyProject();
  const { code, output } = await runDeploy({ api, args: ["--workdir", project.root, `--remote=${api.ref}`, "--yes"] });
  assertEquals(code, 0, output);
  for (const [name, upload] of api.deployed) trees.set(name, parts.use(await unpack(upload)));
  const kept = parts.move();
  return { stack, ref: api.ref, trees, [Symbol.asyncDispose]: () => kept.disposeAsync() };
}

/** A running deployment. */
export interface RunningProject extends AsyncDisposable {
  /** Its URL, for `createClient`. */
  readonly url: string;
  /** Its functions. */
  readonly functions: ReadonlyMap<string, HostedIsolate>;
  /** The environment of each. */
  readonly environments: ReadonlyMap<string, Readonly<Record<string, string>>>;
}

/** Options that differ between projects. */
export interface RunOptions {
  /** The project's own secrets, as set with `supabase secrets set`. */
  readonly secrets: Readonly<Record<string, string>>;
  /** Its public keys. Default: those of Auth. */
  readonly jwks?: Readonly<Record<string, unknown>>;
  /** The functions to run. Default: all. */
  readonly names?: readonly string[];
}

/** Runs each deployed function in an isolate of its own. */
export async function runProject(
  { stack, ref, trees }: Deployment,
  runtime: HostedRuntime,
  { secrets, jwks: own, names = [...trees.keys()] }: RunOptions,
): Promise<RunningProject> {
  const jwks = own ?? await (await fetch(`${stack.authUrl}/.well-known/jwks.json`)).json();
  await using parts = new AsyncDisposableStack();
  const project = parts.use(new HostedProject(stack));
  const environments = new Map<string, Readonly<Record<string, string>>>();
  for (const name of names) {
    const tree = trees.get(name);
    if (!tree) throw new Error(`${name} was not deployed`);
    const env = { ...await hostedEnvironment(stack, project.url, { ref, version: 1 }, jwks), ...secrets };
    environments.set(name, env);
    project.functions.set(name, parts.use(await HostedIsolate.start({ runtime, tree, env })));
  }
  const kept = parts.move();
  const { url, functions } = project;
  return { url, functions, environments, [Symbol.asyncDispose]: () => kept.disposeAsync() };
}
