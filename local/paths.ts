/**
 * Paths and file URLs.
 *
 * @module
 */
import { fileURLToPath, pathToFileURL } from "node:url";

/** The path of a `file:` URL, without a trailing slash. */
export function fromFileUrl(url: URL | string): string {
  const path = fileURLToPath(url);
  return path.length > 1 ? path.replace(/\/$/, "") : path;
}

/** The `file:` URL of a path, with spaces and the like escaped. */
export function toFileUrl(path: string): string {
  return pathToFileURL(path).href;
}
