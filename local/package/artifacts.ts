/**
 * The artifacts of a checkout, built once per state of the sources.
 *
 * The bundle takes most of the time, and depends on `shared/` only: it is cached on its own, so that a change of a tool
 * or of a document does not build it again. Everything is in `.local/package/` of the checkout.
 *
 * @module
 */
import { createHash } from "node:crypto";
import { fromFileUrl } from "../paths.ts";
import type { WrittenFile } from "./bundle.ts";
import { writeJsrPackage } from "./jsr.ts";
import { packNpm, writeNpmPackage } from "./npm.ts";

/** The paths of the artifacts. */
export interface Artifacts {
  /** The folder of the package for npm, unpacked. */
  readonly npm: string;
  /** The tarball that npm would publish. */
  readonly tarball: string;
  /** The folder of the package for JSR. */
  readonly jsr: string;
}

/** A built bundle. */
export interface Bundle {
  /** The folder of the modules. */
  readonly folder: string;
  /** Its modules, and the packages that they import. */
  readonly files: readonly WrittenFile[];
}

/** The sources of the bundle, relative to the root. */
const BUNDLE_INPUTS = [
  "deno.json",
  "import_map.json",
  "local/package/bundle.ts",
  "local/package/identity.ts",
  "local/package/tsconfig.json",
  "local/std",
  "shared",
];

/** The sources of the artifacts, relative to the root. */
const INPUTS = ["CHANGELOG.md", "LICENSE", "README.md", "deno.json", "import_map.json", "docs", "local", "shared"];

async function hashInto(hash: ReturnType<typeof createHash>, path: string): Promise<void> {
  if (!(await Deno.stat(path)).isDirectory) {
    hash.update(`${path}\0`).update(await Deno.readFile(path));
    return;
  }
  const entries = await Array.fromAsync(Deno.readDir(path), ({ name }) => name);
  for (const name of entries.sort()) await hashInto(hash, `${path}/${name}`);
}

async function hashOf(root: URL, inputs: readonly string[]): Promise<string> {
  const hash = createHash("sha256");
  for (const path of inputs) await hashInto(hash, fromFileUrl(new URL(path, root)));
  return hash.digest("hex").slice(0, 16);
}

/**
 * Returns the folder `<kind>-<hash>` in the cache of the checkout, and runs `build` if it does not exist. Concurrent
 * processes build once. A folder of another state is removed, and so is what an interrupted build left.
 */
export async function cachedFolder(
  root: URL,
  kind: string,
  inputs: readonly string[],
  build: (folder: string) => Promise<void>,
): Promise<string> {
  const state = fromFileUrl(new URL(".local/package/", root)).replace(/\/$/, "");
  await Deno.mkdir(state, { recursive: true });
  using lock = await Deno.open(`${state}/${kind}.lock`, { create: true, write: true });
  await lock.lock(true);
  const folder = `${state}/${kind}-${await hashOf(root, inputs)}`;
  if (await Deno.stat(folder).then(() => true, () => false)) return folder;
  for (const { name } of await Array.fromAsync(Deno.readDir(state))) {
    if (name.startsWith(`${kind}-`)) await Deno.remove(`${state}/${name}`, { recursive: true });
  }
  const partial = `${folder}.partial`;
  try {
    await build(partial);
    await Deno.rename(partial, folder);
  } catch (error) {
    await Deno.remove(partial, { recursive: true }).catch(() => {});
    throw error;
  }
  return folder;
}

/** Returns the bundle of the checkout at `root`, built if its sources have changed since. */
export async function buildBundle(root: URL): Promise<Bundle> {
  const folder = await cachedFolder(root, "bundle", BUNDLE_INPUTS, async (folder) => {
    // Rolldown takes seconds to load: only a build loads it.
    const { writeBundle } = await import("./bundle.ts");
    const files = await writeBundle(root, `${folder}/dist`);
    await Deno.writeTextFile(`${folder}/files.json`, JSON.stringify(files));
  });
  return { folder: `${folder}/dist`, files: JSON.parse(await Deno.readTextFile(`${folder}/files.json`)) };
}

/** Returns the artifacts of the checkout at `root`, built if their sources have changed since. */
export async function buildArtifacts(root: URL): Promise<Artifacts> {
  const folder = await cachedFolder(root, "artifacts", INPUTS, async (folder) => {
    await writeNpmPackage(root, await buildBundle(root), `${folder}/npm`);
    await writeJsrPackage(root, `${folder}/jsr`);
    await Deno.rename(await packNpm(`${folder}/npm`, folder), `${folder}/package.tgz`);
  });
  return { npm: `${folder}/npm`, tarball: `${folder}/package.tgz`, jsr: `${folder}/jsr` };
}
