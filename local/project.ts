/**
 * Where the parts of a project lie.
 *
 * @module
 */
import { fromFileUrl } from "./paths.ts";
import { StackFault } from "./fault.ts";

/** The folders and files of one project, as absolute paths. */
export interface Project {
  /** The project's folder. */
  readonly root: string;
  /** What the stack keeps between runs: data, keys, lock. Ignored by git. */
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

/**
 * The project at `root`. Default: the one this file is part of.
 *
 * @throws {StackFault} `CONFIG_INVALID` if there is no such folder.
 */
export function projectAt(root: string = fromFileUrl(new URL("..", import.meta.url))): Project {
  let folder: string;
  try {
    folder = Deno.realPathSync(root);
  } catch (error) {
    throw new StackFault("CONFIG_INVALID", `There is no folder ${root}: name the folder of a project.`, {
      cause: error,
    });
  }
  const denoConfig = ["deno.json", "deno.jsonc"].map((name) => `${folder}/${name}`).find(exists);
  return { root: folder, state: `${folder}/.local`, supabase: `${folder}/supabase`, denoConfig };
}

/**
 * Makes the folder of state if need be, and makes sure that it can be written.
 *
 * @throws {StackFault} `NOT_WRITABLE`.
 */
export async function prepareState(state: string): Promise<void> {
  try {
    await Deno.mkdir(state, { recursive: true, mode: 0o711 });
    // One that was made under a strict umask could not be entered by the user that Postgres runs as.
    await Deno.chmod(state, 0o711);
    const probe = await Deno.makeTempFile({ dir: state });
    await Deno.remove(probe);
  } catch (error) {
    throw new StackFault(
      "NOT_WRITABLE",
      `This user cannot write to ${state}: give it to them (chown or chmod), or run as the folder's owner.`,
      { cause: error },
    );
  }
}
