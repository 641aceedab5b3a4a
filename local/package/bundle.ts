/**
 * The library as JavaScript modules with declarations, for npm and for vendoring.
 *
 * Rolldown bundles both: one file for each entry point, and chunks for what they share. Modules that `shared/` loads on
 * demand stay separate chunks. `@std/async` is bundled, since npm does not have it; other packages are imported.
 *
 * @module
 */
import { type OutputOptions, type Plugin, rolldown } from "rolldown";
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

/** Entry points that load no client of Supabase. */
const WITHOUT_CLIENTS = ["./postgres", "./data", "./cache"];

/**
 * Returns a plugin that names the chunk of each module of the main entry point: `base` for what entry points without
 * clients share with it, `main` for the rest. So a cold start reads few files, however many entry points there are.
 */
function nameChunks(entryOf: (subpath: string) => string, names: Map<string, string>): Plugin {
  return {
    name: "name-chunks",
    buildEnd() {
      const reach = (entries: readonly string[], onDemand: boolean) => {
        const reached = new Set(entries);
        for (const id of reached) {
          const info = this.getModuleInfo(id);
          for (const to of info?.importedIds ?? []) reached.add(to);
          for (const to of onDemand ? info?.dynamicallyImportedIds ?? [] : []) reached.add(to);
        }
        for (const entry of entries) reached.delete(entry);
        return reached;
      };
      const main = [entryOf(".")];
      const others = reach(WITHOUT_CLIENTS.map(entryOf), false);
      for (const id of reach(main, false)) names.set(id, "main");
      for (const id of reach(main, true)) if (others.has(id)) names.set(id, "base");
    },
  };
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
  const write = async (build: Awaited<ReturnType<typeof rolldown>>, options: OutputOptions = {}) => {
    const written = await build.write({ ...output, ...options });
    for (const file of written.output) {
      if (file.type !== "chunk") continue;
      const packages = [...file.imports, ...file.dynamicImports].filter((name) => !/\.(js|d\.ts)$/.test(name));
      files.push({ path: file.fileName, packages });
    }
    await build.close();
  };
  const names = new Map<string, string>();
  const entryOf = (subpath: string) => shared.input[bundleName(subpath)] ?? "";
  await write(
    await rolldown({ ...shared, transform: { target: TARGET }, plugins: [nameChunks(entryOf, names)] }),
    { codeSplitting: { groups: [{ name: (id) => names.get(id) ?? null }] } },
  );
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
