/**
 * Deletes the local state of a project.
 *
 * @module
 */
import { lockProject } from "../lock.ts";
import { projectFolders } from "../postgres/data_location.ts";
import { removeStaleServer } from "../postgres/stale_server.ts";

/**
 * Deletes the local data, files and keys of a project.
 *
 * @param state The state folder of the project.
 * @returns The paths that were deleted.
 * @throws {StackError} `ALREADY_RUNNING` if its stack is running.
 */
export async function resetProject(state: string): Promise<string[]> {
  using _lock = await lockProject(state);
  const folders = await projectFolders(state);
  await Promise.all(folders.map((folder) => removeStaleServer(`${folder}/data`)));
  const deleted: string[] = [];
  for (const path of [...folders, `${state}/postgres.path`, `${state}/storage`, `${state}/keys.json`]) {
    try {
      await Deno.remove(path, { recursive: true });
      deleted.push(path);
    } catch (error) {
      if (!(error instanceof Deno.errors.NotFound)) throw error;
    }
  }
  return deleted;
}
