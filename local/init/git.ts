/**
 * Uncommitted changes.
 *
 * @module
 */

/**
 * Returns the paths with uncommitted changes in `supabase/`, and among `paths`; `undefined` without git or a repository.
 *
 * @param paths The files that are to be changed, absolute.
 */
export async function uncommittedChanges(root: string, paths: readonly string[]): Promise<string[] | undefined> {
  try {
    const { success, stdout } = await new Deno.Command("git", {
      args: [
        "-C",
        root,
        "status",
        "--porcelain=v1",
        "-z",
        "--untracked-files=all",
        "--no-renames",
        "--",
        "supabase",
        ...paths,
      ],
      stdout: "piped",
      stderr: "null",
      stdin: "null",
    }).output();
    if (!success) return undefined;
    return new TextDecoder().decode(stdout).split("\0").filter((line) => line !== "").map((line) => line.slice(3));
  } catch {
    return undefined;
  }
}
