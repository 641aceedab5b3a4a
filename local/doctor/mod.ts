/**
 * Checks a Supabase project and says what to fix.
 *
 * @module
 */
import { projectAt } from "../project.ts";
import type { DoctorArguments } from "./arguments.ts";
import { checkDatabase } from "./database.ts";
import type { Finding } from "./finding.ts";
import { checkJwtSecret, checkKeys, checkUrl } from "./keys.ts";
import { checkImports, checkVerifyJwt, checkVersions, readProject } from "./project_files.ts";
import { checkServices } from "./services.ts";
import { checkSwitches } from "./switches.ts";
import { readProjectFiles } from "./variables.ts";

/**
 * Runs every check on a project. Changes nothing.
 *
 * @param environment Variables that win over those of the project's files.
 * @returns The findings, in the order of the report. None contains a secret.
 * @throws {StackError} `USAGE` or `CONFIG_INVALID` if there is nothing to check.
 */
export async function examine(
  { project: folder, envFiles, offline }: Pick<DoctorArguments, "project" | "envFiles" | "offline">,
  environment: Readonly<Record<string, string>> = Deno.env.toObject(),
): Promise<readonly Finding[]> {
  const project = projectAt(folder ?? Deno.cwd());
  const variables = await readProjectFiles(project, envFiles, environment);
  const { files, findings } = await readProject(project);
  const groups = await Promise.all([
    findings,
    checkVersions(project),
    checkImports(files),
    checkVerifyJwt(project, files),
    checkUrl(variables),
    checkKeys(variables),
    checkJwtSecret(variables),
    checkSwitches(variables),
    offline ? undefined : checkServices(variables),
    checkDatabase(variables, files, offline),
  ]);
  return groups.flatMap((group) => group?.list ?? []);
}
