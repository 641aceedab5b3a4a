/**
 * The text of `deploy --dry-run`.
 *
 * @module
 */
import type { Project } from "../project.ts";
import { quoted } from "../invocation.ts";
import type { CheckedFunction } from "./preflight.ts";
import { SUPABASE_CLI } from "./supabase_cli.ts";

/** The parts of a deployment that the plan names. */
export interface PlanInputs {
  /** The project. */
  readonly project: Project;
  /** The functions to deploy. */
  readonly functions: readonly CheckedFunction[];
  /** The project or branch to deploy to. `undefined`: the linked project. */
  readonly remote: string | undefined;
  /** Deploy all functions without the platform's check of JWTs. */
  readonly noVerifyJwt: boolean;
  /** Delete functions that do not exist here. */
  readonly prune: boolean;
  /** The arguments of the CLI. */
  readonly args: readonly string[];
}

/** Returns the ref that `supabase link` has stored; `undefined` if the project is not linked. */
async function linkedRef({ supabase }: Project): Promise<string | undefined> {
  const text = await Deno.readTextFile(`${supabase}/.temp/project-ref`).catch(() => "");
  return text.trim() || undefined;
}

async function targetOf({ project, remote }: PlanInputs): Promise<string> {
  if (remote !== undefined) return `project or branch ${remote}`;
  const ref = await linkedRef(project);
  return ref === undefined ? "no project yet: pass --remote=<ref>, or link one" : `the linked project, ${ref}`;
}

/** Returns the lines that describe the deployment. */
export async function describePlan(inputs: PlanInputs): Promise<string[]> {
  const { project: { root }, functions, noVerifyJwt, prune, args } = inputs;
  const shown = (path: string) => path.startsWith(`${root}/`) ? path.slice(root.length + 1) : path;
  const width = Math.max(...functions.map(({ config }) => config.name.length));
  return [
    `Target: ${await targetOf(inputs)}`,
    `Would deploy ${functions.length} function${functions.length === 1 ? "" : "s"}:`,
    ...functions.map(({ config: { name, entrypoint, importMap, verifyJwt, staticFiles }, files, bytes }) =>
      [
        `  ${name.padEnd(width)}  ${shown(entrypoint)}`,
        importMap === undefined ? "no import map" : shown(importMap),
        verifyJwt && !noVerifyJwt ? "requires a JWT" : "checks callers itself",
        `${files.length} file${files.length === 1 ? "" : "s"}, ${(bytes / 1024).toFixed(1)} KiB`,
        ...(staticFiles.length === 0 ? [] : [`and ${staticFiles.map(shown).join(", ")}`]),
      ].join(", ")
    ),
    ...(prune ? ["Would delete the functions of the project that do not exist here."] : []),
    `Would run: ${["npx", "-y", SUPABASE_CLI, ...args].map(quoted).join(" ")}`,
    "Nothing was deployed, because of --dry-run.",
  ];
}
