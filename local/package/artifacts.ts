/**
 * The artifacts of a checkout, built once per state of the sources.
 *
 * @module
 */
import { createHash } from "node:crypto";
import { fromFileUrl } from "../paths.ts";
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

async function build(root: URL, folder: string): Promise<void> {
  await writeNpmPackage(root, `${folder}/npm`);
  await writeJsrPackage(root, `${folder}/jsr`);
  await Deno.rename(await packNpm(`${folder}/npm`, folder), `${folder}/package.tgz`);
}

/**
 * Returns the artifacts of the checkout at `root`. They are in its `.local/package/`, built if the sources have changed
 * since; concurrent processes build once.
 */
export async function buildArtifacts(root: URL): Promise<Artifacts> {
  const hash = createHash("sha256");
  for (const path of INPUTS) await hashInto(hash, fromFileUrl(new URL(path, root)));
  const state = `${fromFileUrl(root)}/.local/package`;
  const folder = `${state}/${hash.digest("hex").slice(0, 16)}`;
  await Deno.mkdir(state, { recursive: true });
  using lock = await Deno.open(`${state}/lock`, { create: true, write: true });
  await lock.lock(true);
  if (!await Deno.stat(folder).then(() => true, () => false)) {
    for await (const { name } of Deno.readDir(state)) {
      if (name !== "lock") await Deno.remove(`${state}/${name}`, { recursive: true });
    }
    await build(root, `${folder}.partial`);
    await Deno.rename(`${folder}.partial`, folder);
  }
  return { npm: `${folder}/npm`, tarball: `${folder}/package.tgz`, jsr: `${folder}/jsr` };
}
