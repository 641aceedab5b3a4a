/**
 * The package for npm, as a folder.
 *
 * @module
 */
import type { Bundle } from "./artifacts.ts";
import { copyDocuments } from "./documents.ts";
import { bundleName, ENTRY_POINTS, PACKAGE_NAME, PACKAGE_VERSION, TOOLS } from "./identity.ts";
import { rangesOf, readImports } from "./import_map.ts";
import { copyFolder } from "./vendor.ts";
import { writeTools } from "./tools.ts";

/**
 * Packages that only one entry point needs and that its users import themselves. `pg` is not among them: users of
 * direct Postgres do not import it, and Deno finds a peer only if the program imports it. `ssh2` is one: as a dependency,
 * every hosted function would upload it.
 */
const OPTIONAL_PEERS: ReadonlySet<string> = new Set(["hono", "ssh2"]);

/** The versions of Node: the Supabase packages support 22 and later, and `URL.parse` exists since 22.1. */
export const NODE_RANGE = ">=22.1";

/** Returns `package.json`. */
function manifest(ranges: ReadonlyMap<string, string>): Record<string, unknown> {
  const dependencies = [...ranges].filter(([name]) => !OPTIONAL_PEERS.has(name));
  const peers = [...ranges].filter(([name]) => OPTIONAL_PEERS.has(name));
  const exports = {
    ...Object.fromEntries(
      Object.keys(ENTRY_POINTS).map((subpath) => {
        const file = `./dist/${bundleName(subpath)}`;
        return [subpath, { types: `${file}.d.ts`, default: `${file}.js` }];
      }),
    ),
    ...Object.fromEntries(
      Object.keys(TOOLS).map((subpath) => {
        return [subpath, { types: "./tools/tool.d.ts", default: `./tools/${subpath.slice(2)}.js` }];
      }),
    ),
    "./package.json": "./package.json",
  };
  return {
    name: PACKAGE_NAME,
    version: PACKAGE_VERSION,
    description: "A pool of Supabase clients and Postgres connections for Deno edge functions",
    keywords: ["supabase", "edge-functions", "deno", "pool", "postgres"],
    license: "MIT",
    type: "module",
    exports,
    files: ["dist", "tools", "docs", "CHANGELOG.md"],
    sideEffects: ["./tools/*.js"],
    engines: { node: NODE_RANGE, deno: ">=2.1.4" },
    dependencies: Object.fromEntries(dependencies),
    peerDependencies: Object.fromEntries(peers),
    peerDependenciesMeta: Object.fromEntries(peers.map(([name]) => [name, { optional: true }])),
  };
}

/** Writes the package of the checkout at `root` with its bundle into `folder`, which is empty or does not exist. */
export async function writeNpmPackage(root: URL, { folder: dist, files }: Bundle, folder: string): Promise<void> {
  await copyFolder(dist, `${folder}/dist`);
  const ranges = rangesOf(new Set(files.flatMap(({ packages }) => packages)), await readImports(root));
  await Deno.writeTextFile(`${folder}/package.json`, `${JSON.stringify(manifest(ranges), undefined, 2)}\n`);
  await writeTools(root, `${folder}/tools`);
  await copyDocuments(root, folder);
}

/**
 * Packs the package at `folder` with npm.
 *
 * @returns The path of the tarball, in `destination`.
 * @throws {Error} With the output of npm, if it fails.
 */
export async function packNpm(folder: string, destination: string): Promise<string> {
  const { success, stdout, stderr } = await new Deno.Command("npm", {
    args: ["pack", "--json", "--pack-destination", destination],
    cwd: folder,
    stdin: "null",
  }).output();
  const decode = (bytes: Uint8Array) => new TextDecoder().decode(bytes);
  if (!success) throw new Error(`npm pack failed: ${decode(stderr)}`);
  const [packed] = JSON.parse(decode(stdout));
  return `${destination}/${packed.filename}`;
}
