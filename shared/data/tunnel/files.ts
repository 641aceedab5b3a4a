/**
 * Files that the options of a tunnel name.
 *
 * @module
 */
import { processVariables } from "../../environment/mod.ts";

/** Returns a path with the home folder in place of a leading `~`. */
export function expandHome(path: string): string {
  if (path !== "~" && !path.startsWith("~/")) return path;
  const { HOME, USERPROFILE } = processVariables();
  return `${HOME ?? USERPROFILE ?? "~"}${path.slice(1)}`;
}
