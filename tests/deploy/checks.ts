/**
 * Checks of an upload.
 *
 * @module
 */
import type { Upload } from "./management_api.ts";
import { MARKER } from "./project_copy.ts";
import type { UploadedTree } from "./tree.ts";

/** The parts of `shared/` that a function uploads only if it imports them. */
export const OPTIONAL_PARTS = ["postgres", "data", "cache", "fleet"];

/** Returns the paths of the modules that the function needs. */
function needed({ root, graph }: Pick<UploadedTree, "root" | "graph">): string[] {
  return graph.files.filter((path) => path.startsWith(`${root}/`)).map((path) => path.slice(root.length + 1));
}

/** Returns true if a module of the application in the upload imports that part. */
function importsPart(part: string, { files }: Upload): boolean {
  const decoder = new TextDecoder();
  // shared/http/postgres.ts is the entry point to Postgres for handlers.
  const imported = new RegExp(String.raw`/shared/(http/${part}\.ts|${part}/)`);
  return [...files].some(([path, content]) => path.startsWith("functions/") && imported.test(decoder.decode(content)));
}

/** Returns one line for each fault of an upload. */
export function uploadFaults(upload: Upload, tree: Pick<UploadedTree, "root" | "graph">): string[] {
  const { name, metadata, files } = upload;
  const paths = [...files.keys()];
  const allowed = new RegExp(
    String.raw`^(import_map\.json|(functions/(${name}|_app)|shared)/([a-z][a-z0-9_]*/)*[a-z][a-z0-9_]*(\.d)?\.ts)$`,
  );
  const modules = needed(tree);
  const unneeded = OPTIONAL_PARTS.filter((part) => !importsPart(part, upload));
  const decoder = new TextDecoder();
  return [
    ...tree.graph.errors.map(({ message }) => message),
    ...paths.filter((path) => !allowed.test(path)).map((path) => `${path} does not belong in an upload`),
    ...paths.filter((path) => path !== metadata.import_map_path && !modules.includes(path)).map((path) =>
      `nothing imports ${path}`
    ),
    ...[...files].filter(([, content]) => decoder.decode(content).includes(MARKER)).map(([path]) =>
      `${path} must not be uploaded`
    ),
    ...unneeded.flatMap((part) =>
      paths.filter((path) => path.startsWith(`shared/${part}/`)).map((path) =>
        `${path} is uploaded, but ${name} does not import ${part}`
      )
    ),
    ...(metadata.verify_jwt ? ["the platform would check credentials that are not JWTs"] : []),
    ...(metadata.static_patterns?.length ? ["the upload has static files"] : []),
  ];
}

/** Describes the size of an upload, for people. */
export function uploadSize({ name, files }: Upload, { graph }: Pick<UploadedTree, "graph">): string {
  const bytes = [...files.values()].reduce((sum, content) => sum + content.length, 0);
  const packages = graph.packages.filter((specifier) => !specifier.startsWith("node:"));
  return `${name.padEnd(12)}${String(files.size).padStart(4)} files ${(bytes / 1024).toFixed(1).padStart(7)} KiB  ${
    packages.join(", ") || "no packages"
  }`;
}
