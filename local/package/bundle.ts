/**
 * The library as JavaScript modules with declarations, for npm and for vendoring.
 *
 * Rolldown bundles both: one file for each entry point, and chunks for what they share. Modules that `shared/` loads on
 * demand stay separate chunks. `@std/async` is bundled, since npm does not have it; other packages are imported.
 *
 * @module
 */
import { rolldown } from "rolldown";
import { dts } from "rolldown-plugin-dts";
import "typescript";
import "@oxc-project/runtime/helpers/usingCtx";
import { createRequire } from "node:module";
import { readLinkedPackages } from "../deno_2_1/deno.ts";
import { fromFileUrl } from "../paths.ts";
import { bundleName, ENTRY_POINTS } from "./identity.ts";

/** The helper that Rolldown imports where a module has `using`. */
const USING_HELPER = "@oxc-project/runtime/helpers/usingCtx";

/** A package that is bundled, by specifier: its module. */
type Bundled = Readonly<Record<string, string>>;

/** The oldest Node that the dependencies support. It has no `using`, which the bundle therefore does not contain. */
export const TARGET = "node22";

/** A module graph of the bundle, written by Rolldown. */
export interface WrittenFile {
  /** The path, relative to the folder. */
  readonly path: string;
  /** The packages that it imports. */
  readonly packages: readonly string[];
}

function isBundled(specifier: string, bundled: Bundled): boolean {
  return /^[./]|^[A-Za-z]:/.test(specifier) || specifier.startsWith("\0") || specifier in bundled;
}

/** Returns what is bundled: of JSR as `links` has it, and the helper that replaces `using`. */
export async function bundledPackages(root: URL): Promise<Bundled> {
  const bundled: Record<string, string> = { [USING_HELPER]: createRequire(import.meta.url).resolve(USING_HELPER) };
  for (const { name, exports, folder } of await readLinkedPackages(root)) {
    for (const [subpath, file] of Object.entries(exports)) {
      bundled[`${name}${subpath.slice(1)}`] = fromFileUrl(new URL(file, folder));
    }
  }
  return bundled;
}

/**
 * Writes the bundle of the checkout at `root` into `folder`.
 *
 * @returns The written files.
 */
export async function writeBundle(root: URL, folder: string): Promise<WrittenFile[]> {
  const bundled = await bundledPackages(root);
  const shared = {
    cwd: fromFileUrl(root),
    input: Object.fromEntries(
      Object.entries(ENTRY_POINTS).map(([subpath, path]) => [bundleName(subpath), fromFileUrl(new URL(path, root))]),
    ),
    external: (specifier: string) => !isBundled(specifier, bundled),
    resolve: { alias: bundled },
    platform: "neutral",
    checks: { pluginTimings: false },
    // No module of `shared/` acts on import.
    treeshake: { moduleSideEffects: false },
  } as const;
  const output = { dir: folder, format: "esm", chunkFileNames: "chunks/[name].js" } as const;

  const files: WrittenFile[] = [];
  const write = async (build: Awaited<ReturnType<typeof rolldown>>) => {
    const written = await build.write(output);
    for (const file of written.output) {
      if (file.type !== "chunk") continue;
      const packages = [...file.imports, ...file.dynamicImports].filter((name) => !/\.(js|d\.ts)$/.test(name));
      files.push({ path: file.fileName, packages });
    }
    await build.close();
  };
  await write(await rolldown({ ...shared, transform: { target: TARGET } }));
  await write(
    await rolldown({
      ...shared,
      plugins: [
        dts({ emitDtsOnly: true, tsconfig: fromFileUrl(new URL("./tsconfig.json", import.meta.url)) }),
      ],
    }),
  );
  return files;
}
