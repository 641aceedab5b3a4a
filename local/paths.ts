/**
 * Paths and file URLs.
 *
 * @module
 */
import { fileURLToPath, pathToFileURL } from "node:url";

/** Returns the path of a `file:` URL, without a trailing slash. */
export function fromFileUrl(url: URL | string): string {
  const path = fileURLToPath(url);
  return path.length > 1 ? path.replace(/\/$/, "") : path;
}

/** Returns the `file:` URL of a path, percent-encoded. */
export function toFileUrl(path: string): string {
  return pathToFileURL(path).href;
}
