/**
 * The modules of a function, as Deno resolves them with an import map only: the
 * hosted bundler reads neither `deno.json` nor the lock file.
 *
 * @module
 */
import { z } from "zod";
import { StackError } from "../stack_error.ts";
import { fromFileUrl, toFileUrl } from "../paths.ts";

/** An import that cannot be resolved. */
export interface ImportError {
  /** The import, its file and the reason, in one line. */
  readonly message: string;
  /** `true` for a package or a URL, which may be missing because the network is down. */
  readonly remote: boolean;
}

/** The modules of a function. */
export interface ModuleGraph {
  /** Paths of the local modules, including the entrypoint and modules imported for their types, sorted. */
  readonly files: readonly string[];
  /** The packages and URLs that they import, such as `npm:zod@4.6.7`, sorted. */
  readonly packages: readonly string[];
  /** Imports that cannot be resolved. */
  readonly errors: readonly ImportError[];
}

/** Options for {@linkcode readModuleGraph}. */
export interface ModuleGraphOptions {
  /** Path of the function's module. */
  readonly entrypoint: string;
  /** Path or URL of the import map. Default: none. */
  readonly importMap?: string | undefined;
  /** The folder that paths in messages are relative to. Default: they are absolute. */
  readonly root?: string | undefined;
  /** Ends the reading. Default: it ends by itself. */
  readonly signal?: AbortSignal | undefined;
}

const resolution = z.object({
  specifier: z.string().optional(),
  error: z.string().optional(),
  span: z.object({ start: z.object({ line: z.number() }) }).optional(),
});
/** The members of `deno info --json` that are used. */
const infoShape = z.object({
  modules: z.array(z.object({
    specifier: z.string(),
    local: z.string().nullish(),
    error: z.string().optional(),
    dependencies: z.array(z.object({
      specifier: z.string(),
      code: resolution.optional(),
      type: resolution.optional(),
    })).optional(),
  })),
});
type Info = z.infer<typeof infoShape>;

const isLocal = (specifier: string) => specifier.startsWith("file:");

/** In a deno.json, an entry for a package covers its subpaths; in an import map it does not. */
function mapArguments(importMap: string | undefined): string[] {
  if (importMap === undefined) return ["--no-config"];
  return /(^|\/)deno\.jsonc?$/.test(importMap) ? ["--config", importMap] : ["--no-config", "--import-map", importMap];
}

async function denoInfo({ entrypoint, importMap, signal }: ModuleGraphOptions): Promise<Info> {
  const { success, stdout, stderr } = await new Deno.Command(Deno.execPath(), {
    args: [
      // The hosted bundler imports from any host.
      ...["info", "--json", "--no-lock", "--node-modules-dir=none", "--allow-import"],
      ...mapArguments(importMap),
      entrypoint,
    ],
    env: { NO_COLOR: "1" },
    stdin: "null",
    ...(signal === undefined ? {} : { signal }),
  }).output();
  signal?.throwIfAborted();
  if (!success) {
    const reason = new TextDecoder().decode(stderr).replace(/^error: /, "");
    throw new StackError("CONFIG_INVALID", `Cannot read the imports of ${entrypoint}: ${reason}`);
  }
  return infoShape.parse(JSON.parse(new TextDecoder().decode(stdout)));
}

function importErrors({ modules }: Info, root: string | undefined): ImportError[] {
  const shown = (specifier: string) => {
    const path = isLocal(specifier) ? fromFileUrl(specifier) : specifier;
    return root !== undefined && path.startsWith(`${root}/`) ? path.slice(root.length + 1) : path;
  };
  const failed = new Map(modules.flatMap(({ specifier, error }) => error === undefined ? [] : [[specifier, error]]));
  const errors: ImportError[] = [];
  const reported = new Set<string>();
  for (const { specifier: from, dependencies = [] } of modules) {
    for (const { specifier, code, type } of dependencies) {
      for (const target of [code, type]) {
        const error = target?.error ?? failed.get(target?.specifier ?? "");
        if (target === undefined || error === undefined) continue;
        const location = `${shown(from)}:${(target.span?.start.line ?? 0) + 1}`;
        const reason = error.startsWith("Module not found")
          ? `${shown(target.specifier ?? specifier)} does not exist`
          : error.split("\n")[0];
        const remote = target.specifier !== undefined && !isLocal(target.specifier);
        // A package that cannot be loaded fails for every module that imports it: one of them is enough.
        if (remote && reported.has(error)) continue;
        reported.add(error);
        errors.push({ message: `${location} imports ${JSON.stringify(specifier)}: ${reason}`, remote });
      }
    }
  }
  return errors;
}

/**
 * Reads the module at `entrypoint` and everything that it imports.
 *
 * @throws {StackError} `CONFIG_INVALID` if the import map or the entrypoint cannot be read.
 */
export async function readModuleGraph(options: ModuleGraphOptions): Promise<ModuleGraph> {
  const { entrypoint, root } = options;
  const info = await denoInfo(options);
  const entry = info.modules.find(({ specifier }) => specifier === toFileUrl(entrypoint));
  if (entry?.error !== undefined) {
    throw new StackError("CONFIG_INVALID", `${entrypoint}: ${entry.error.split("\n")[0]}`);
  }
  const packages = info.modules.flatMap(({ dependencies = [] }) =>
    dependencies.map(({ code, type }) => code?.specifier ?? type?.specifier)
  ).filter((specifier) => specifier !== undefined).filter((specifier) => !isLocal(specifier));
  return {
    files: info.modules.flatMap(({ local, specifier }) => local && isLocal(specifier) ? [local] : []).sort(),
    packages: [...new Set(packages)].sort(),
    errors: importErrors(info, root),
  };
}
