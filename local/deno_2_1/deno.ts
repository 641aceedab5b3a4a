/**
 * The version of Deno that the hosted runtime is compatible with, and the
 * options that it needs.
 *
 * @module
 */
import { type LinkedPackage, withLinkedPackages } from "./import_map.ts";

/** The npm package of that version. */
export const DENO_2_1 = "deno@2.1.4";

/**
 * Returns the environment variables that this version needs behind a private
 * certificate authority: it does not read the variables that name one.
 */
export function certificateEnvironment(): Record<string, string> {
  const isPrivate = ["NODE_EXTRA_CA_CERTS", "SSL_CERT_FILE"].some((name) => Deno.env.get(name));
  return isPrivate && !Deno.env.has("DENO_TLS_CA_STORE") ? { DENO_TLS_CA_STORE: "mozilla,system" } : {};
}

async function readJson<T>(url: URL): Promise<T> {
  return JSON.parse(await Deno.readTextFile(url));
}

/** Returns the packages that `links` names in the `deno.json` of the project at `root`. */
export async function readLinkedPackages(root: URL): Promise<LinkedPackage[]> {
  const { links } = await readJson<{ links: string[] }>(new URL("deno.json", root));
  return await Promise.all(links.map(async (path) => {
    const folder = new URL(`${path}/`, root);
    const { name, exports } = await readJson<Pick<LinkedPackage, "name" | "exports">>(new URL("deno.json", folder));
    return { name, exports, folder };
  }));
}

/**
 * Returns the import map of the project at `root` with its `jsr:` packages replaced by those of `links`, as a `data:`
 * URL: for a Deno that is started without the project's `deno.json`, where JSR may be out of reach.
 */
export async function linkedImportMap(root: URL): Promise<string> {
  const { imports } = await readJson<{ imports: Record<string, string> }>(new URL("import_map.json", root));
  const linked = withLinkedPackages(imports, await readLinkedPackages(root));
  return `data:application/json,${encodeURIComponent(JSON.stringify({ imports: linked }))}`;
}
