/**
 * Starting afresh.
 *
 * @module
 */
import { lockProject } from "../lock.ts";
import { projectFolders } from "../postgres/place.ts";
import { removeStaleServer } from "../postgres/stale.ts";

/**
 * Deletes a project's local data and keys.
 *
 * @param state The project's folder of state.
 * @returns The paths that were deleted.
 * @throws {StackFault} `ALREADY_RUNNING` if its stack runs.
 */
export async function resetProject(state: string): Promise<string[]> {
  using _lock = await lockProject(state);
  const folders = await projectFolders(state);
  await Promise.all(folders.map((folder) => removeStaleServer(`${folder}/data`)));
  const deleted: string[] = [];
  for (const path of [...folders, `${state}/postgres.path`, `${state}/keys.json`]) {
    try {
      await Deno.remove(path, { recursive: true });
      deleted.push(path);
    } catch (error) {
      if (!(error instanceof Deno.errors.NotFound)) throw error;
    }
  }
  return deleted;
}
