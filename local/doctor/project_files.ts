/**
 * Checks of the project's files: its configuration, its functions, and the versions that they import.
 *
 * @module
 */
import { PACKAGE_NAME } from "../package/identity.ts";
import { type ProjectConfig, readConfig } from "../config/mod.ts";
import { type FunctionConfig, readFunctions } from "../functions/config.ts";
import { VENDOR_FOLDER } from "../init/vendor.ts";
import type { Project } from "../project.ts";
import { StackError } from "../stack_error.ts";
import { Findings, listed } from "./finding.ts";

/** The packages whose versions are checked, by the end of their specifier. */
const PACKAGES = ["@supabase/supabase-js", "@supabase/server", PACKAGE_NAME];

/** A specifier of one of these, in a module or an import map: with `npm:`, `jsr:`, or the URL of a CDN. */
const SPECIFIER =
  /["'](?:npm:|jsr:|https?:\/\/[\w.-]{1,100}\/)\/?(@[\w.-]{1,100}\/[\w.-]{1,100})(?:@([^/"'?\s]{1,50}))?/g;

/** An exact version. */
const EXACT = /^\d+\.\d+\.\d+(?:-[\w.]+)?$/;

/** Modules above this size are generated. */
const MAX_SOURCE_BYTES = 1_000_000;

/** A part of the project's files, once read. */
export interface ProjectFiles {
  readonly config: ProjectConfig | undefined;
  readonly functions: readonly FunctionConfig[];
  /** The text of each module and import map below the functions' folders, by path relative to the project. */
  readonly sources: ReadonlyMap<string, string>;
}

async function collect(root: string, folder: string, into: Map<string, string>): Promise<void> {
  let entries: Deno.DirEntry[];
  try {
    entries = await Array.fromAsync(Deno.readDir(`${root}/${folder}`));
  } catch {
    return;
  }
  for (const { name, isDirectory, isFile } of entries.sort((a, b) => a.name < b.name ? -1 : 1)) {
    const path = `${folder}/${name}`;
    if (isDirectory && name !== "node_modules" && !name.startsWith(".")) await collect(root, path, into);
    if (!isFile || !/\.([cm]?[jt]sx?|jsonc?)$/.test(name) || name.endsWith(".lock")) continue;
    const { size } = await Deno.stat(`${root}/${path}`);
    if (size <= MAX_SOURCE_BYTES) into.set(path, await Deno.readTextFile(`${root}/${path}`));
  }
}

/** Reads the project's files, and checks its configuration. */
export async function readProject(project: Project): Promise<{ files: ProjectFiles; findings: Findings }> {
  const findings = new Findings("project");
  const sources = new Map<string, string>();
  for (const folder of ["supabase/functions", "functions"]) await collect(project.root, folder, sources);
  const empty: ProjectFiles = { config: undefined, functions: [], sources };
  try {
    await Deno.stat(`${project.supabase}/config.toml`);
  } catch {
    findings.fail(
      "config",
      "supabase/config.toml does not exist",
      "pass the folder of the project, or create one: npx -y supabase@3 init.",
    );
    return { files: empty, findings };
  }
  try {
    const config = await readConfig(project);
    const { functions, warnings } = await readFunctions(project, config);
    findings.ok(
      "config",
      `supabase/config.toml: ${functions.length} ${functions.length === 1 ? "function" : "functions"}`,
    );
    for (const warning of [...new Set([...config.warnings, ...warnings])]) {
      findings.warn("config", warning.replace(/:[^:]*$/, ""), warning.replace(/^[^]*: (?=[^:]*$)/, ""));
    }
    for (const { name, entrypoint } of functions) {
      const exists = await Deno.stat(entrypoint).then((info) => info.isFile, () => false);
      if (exists) continue;
      findings.fail(
        "entrypoint",
        `${name}: ${entrypoint} does not exist`,
        "create it, or correct [functions." + name + "].",
      );
    }
    return { files: { config, functions, sources }, findings };
  } catch (error) {
    if (!(error instanceof StackError)) throw error;
    const [, message = error.message, fix = "fix the file."] = /^([^]*): (fix [^:]*)$/.exec(error.message) ?? [];
    findings.fail("config", message, fix);
    return { files: empty, findings };
  }
}

function usesLibrary({ entrypoint }: FunctionConfig, project: Project, sources: ReadonlyMap<string, string>): boolean {
  const text = sources.get(entrypoint.slice(project.root.length + 1)) ?? "";
  return /\bwithPooled(?:Supabase|Postgres)\b|\bpooledSupabase\b/.test(text);
}

/** Checks `verify_jwt` of each function. */
export function checkVerifyJwt(project: Project, { functions, sources }: ProjectFiles): Findings {
  const findings = new Findings("verify_jwt");
  const verified = functions.filter((each) => each.verifyJwt && usesLibrary(each, project, sources));
  for (const { name } of verified) {
    findings.warn(
      "library",
      `${name} verifies its callers itself, and the platform rejects calls without a legacy JWT before it`,
      `set verify_jwt = false in [functions.${name}]: a publishable key is not a JWT, and cron jobs and webhooks send none.`,
    );
  }
  const open = functions.filter((each) => !each.verifyJwt && !usesLibrary(each, project, sources));
  if (open.length > 0) {
    findings.ok(
      "open",
      `${open.length} ${
        open.length === 1 ? "function takes" : "functions take"
      } calls without credentials, unless the ` +
        `code checks them (verify_jwt = false): ${listed(open.map(({ name }) => name))}`,
    );
  }
  if (verified.length === 0 && functions.length > 0) {
    findings.ok("library", "no function that uses the library is behind the platform's check of JWTs");
  }
  return findings;
}

/** Checks which versions of the packages the functions import. */
export function checkImports({ sources }: ProjectFiles): Findings {
  const findings = new Findings("imports");
  const versions = new Map<string, Map<string, string[]>>();
  for (const [path, text] of sources) {
    // A copy of the library names its packages by range, as the package does.
    if (path.startsWith(`${VENDOR_FOLDER}/`)) continue;
    for (const [, name = "", version = ""] of text.matchAll(SPECIFIER)) {
      if (!PACKAGES.includes(name)) continue;
      const ofPackage = versions.get(name) ?? new Map<string, string[]>();
      versions.set(name, ofPackage.set(version, [...ofPackage.get(version) ?? [], path]));
    }
  }
  for (const [name, found] of versions) {
    for (const [version, paths] of found) {
      const [first = ""] = paths;
      const where = paths.length > 1 ? `${first} and ${paths.length - 1} more` : first;
      if (EXACT.test(version)) continue;
      const shown = version === "" ? "no version" : `the range ${version}`;
      findings.warn(
        "pinned",
        `${where}: ${name} has ${shown}, so that each deployment may take another version`,
        "name an exact version, in one import map.",
      );
    }
    if (found.size > 1) {
      const list = [...found.keys()].map((version) => version || "none").join(", ");
      findings.warn(
        "duplicate",
        `${name} is imported in ${found.size} versions: ${list}`,
        "name it in one import map: a function that loads two starts slower, and their classes differ.",
      );
    }
    if (found.size === 1 && EXACT.test([...found.keys()][0] ?? "")) {
      findings.ok("pinned", `${name} ${[...found.keys()][0]}`);
    }
  }
  if (versions.size === 0) findings.ok("pinned", "the functions import no package of Supabase by specifier");
  return findings;
}

/** The oldest version of Deno that the library runs on. */
const OLDEST_DENO = [2, 1, 4];

/** Checks the versions of Deno and of the Supabase CLI. */
export async function checkVersions(project: Project, denoVersion: string = Deno.version.deno): Promise<Findings> {
  const findings = new Findings("versions");
  const parts = denoVersion.split(/[.+-]/).map(Number);
  const difference = OLDEST_DENO.map((oldest, at) => (parts[at] ?? 0) - oldest).find((each) => each !== 0) ?? 0;
  if (difference < 0) {
    findings.fail("deno", `Deno ${denoVersion} is too old`, `use Deno ${OLDEST_DENO.join(".")} or later: npx -y deno.`);
  } else findings.ok("deno", `Deno ${denoVersion}`);
  const text = await Deno.readTextFile(`${project.root}/package.json`).catch(() => "");
  const cli = /"supabase"\s*:\s*"[\^~]?(\d+)\.[\w.]+"/.exec(text)?.[1];
  if (cli !== undefined && Number(cli) < 2) {
    findings.warn(
      "cli",
      `package.json names version ${cli} of the Supabase CLI`,
      "use supabase@3: older ones deploy through Docker only.",
    );
  } else if (cli !== undefined) findings.ok("cli", `package.json names version ${cli} of the Supabase CLI`);
  return findings;
}
