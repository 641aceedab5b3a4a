/**
 * The folders and files of a project.
 *
 * @module
 */
import { fromFileUrl } from "./paths.ts";
import { StackError } from "./stack_error.ts";
import { storageReason } from "./storage_error.ts";

/** Size of the file that finds a full disk before Postgres does. */
const PROBE_BYTES = 2 ** 20;

/** The folders and files of one project, as absolute paths. */
export interface Project {
  /** The project's folder. */
  readonly root: string;
  /** The state folder, which the stack keeps between runs: data, keys, lock. Ignored by git. */
  readonly state: string;
  /** The Supabase folder: config, migrations, seed. */
  readonly supabase: string;
  /** Deno's configuration, if the project has one. */
  readonly denoConfig: string | undefined;
}

function exists(path: string): boolean {
  try {
    Deno.statSync(path);
    return true;
  } catch {
    return false;
  }
}

/** Returns the project of this file; from the package, which contains no project, the current folder. */
function defaultRoot(): string {
  const own = fromFileUrl(new URL("..", import.meta.url));
  return exists(`${own}/supabase`) ? own : Deno.cwd();
}

/**
 * Returns the project at `root`. Default: the project of this file, or the current folder where this file belongs to
 * the package.
 *
 * @throws {StackError} `CONFIG_INVALID` if the folder does not exist.
 */
export function projectAt(root: string = defaultRoot()): Project {
  let folder: string;
  try {
    folder = Deno.realPathSync(root);
  } catch (error) {
    throw new StackError("CONFIG_INVALID", `Folder not found: ${root}. Pass the folder of a project.`, {
      cause: error,
    });
  }
  const denoConfig = ["deno.json", "deno.jsonc"].map((name) => `${folder}/${name}`).find(exists);
  return { root: folder, state: `${folder}/.local`, supabase: `${folder}/supabase`, denoConfig };
}

/**
 * Checks that the folder is a project: that it has a folder `supabase`.
 *
 * @param option The option that names the folder. Default: `--project`.
 * @throws {StackError} `CONFIG_INVALID`, with what to do.
 */
export function requireSupabase({ root, supabase }: Pick<Project, "root" | "supabase">, option = "--project"): void {
  if (exists(supabase)) return;
  // The CLI runs in the project's folder, but the files are in the one below it.
  const inside = ["config.toml", "functions", "migrations"].some((name) => exists(`${root}/${name}`)) &&
    root.endsWith("/supabase");
  const remedy = inside
    ? `pass the folder above it, ${option} ${root.slice(0, -"/supabase".length) || "/"}.`
    : `pass the one that contains it with ${option} <folder>, or create it there with \`npx supabase init\`.`;
  throw new StackError("CONFIG_INVALID", `${root} is not a project, because it has no folder supabase: ${remedy}`);
}

/**
 * Creates the state folder if it does not exist, keeps it out of git, and checks that it is writable.
 *
 * @throws {StackError} `NOT_WRITABLE`.
 */
export async function prepareState(state: string): Promise<void> {
  try {
    await Deno.mkdir(state, { recursive: true, mode: 0o711 });
    // Under a strict umask, the user that Postgres runs as could not enter it.
    await Deno.chmod(state, 0o711);
    const probe = await Deno.makeTempFile({ dir: state });
    try {
      await Deno.writeFile(probe, new Uint8Array(PROBE_BYTES));
    } finally {
      await Deno.remove(probe);
    }
    // The folder holds secrets, and the project may not ignore it.
    await Deno.writeTextFile(`${state}/.gitignore`, "*\n");
  } catch (error) {
    const found = storageReason(error);
    throw new StackError(
      "NOT_WRITABLE",
      found
        ? `Cannot write to ${state}, because ${found.reason}: ${found.remedy}, then start again.`
        : `Cannot write to ${state}: change its owner or mode (chown, chmod), or run as its owner.`,
      { cause: error },
    );
  }
}
