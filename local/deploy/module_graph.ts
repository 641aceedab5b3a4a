/**
 * What a function is made of, as Deno sees it that is given nothing but an
 * import map: the hosted bundler reads neither `deno.json` nor the lock file.
 *
 * @module
 */
import { z } from "zod";
import { StackFault } from "../fault.ts";
import { fromFileUrl, toFileUrl } from "../paths.ts";

/** An import that leads nowhere. */
export interface ImportFault {
  /** Which import of which file it is, and why it leads nowhere; one line. */
  readonly message: string;
  /** Whether it is one of a package or of the web, which may be no more than a network that is down. */
  readonly remote: boolean;
}

/** The modules of a function. */
export interface ModuleGraph {
  /** Paths of the local ones, the entrypoint among them, sorted; those that only types are taken from too. */
  readonly files: readonly string[];
  /** The packages and addresses that they import, such as `npm:zod@4.6.7`, sorted. */
  readonly packages: readonly string[];
  /** Imports that lead nowhere. */
  readonly faults: readonly ImportFault[];
}

/** How to look at a function. */
export interface ModuleGraphOptions {
  /** Path of its module. */
  readonly entrypoint: string;
  /** Path of its import map. Default: none. */
  readonly importMap?: string | undefined;
  /** The folder that messages give paths from. Default: they give whole paths. */
  readonly root?: string | undefined;
}

const resolution = z.object({
  specifier: z.string().optional(),
  error: z.string().optional(),
  span: z.object({ start: z.object({ line: z.number() }) }).optional(),
});
/** What is looked at of what `deno info --json` says. */
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

async function denoInfo({ entrypoint, importMap }: ModuleGraphOptions): Promise<Info> {
  const { success, stdout, stderr } = await new Deno.Command(Deno.execPath(), {
    args: [
      ...["info", "--json", "--no-config", "--no-lock", "--node-modules-dir=none"],
      ...(importMap === undefined ? [] : ["--import-map", importMap]),
      entrypoint,
    ],
    env: { NO_COLOR: "1" },
    stdin: "null",
  }).output();
  if (!success) {
    const reason = new TextDecoder().decode(stderr).replace(/^error: /, "");
    throw new StackFault("CONFIG_INVALID", `The imports of ${entrypoint} cannot be read: ${reason}`);
  }
  return infoShape.parse(JSON.parse(new TextDecoder().decode(stdout)));
}

function faultsOf({ modules }: Info, root: string | undefined): ImportFault[] {
  const shown = (specifier: string) => {
    const path = isLocal(specifier) ? fromFileUrl(specifier) : specifier;
    return root !== undefined && path.startsWith(`${root}/`) ? path.slice(root.length + 1) : path;
  };
  const failed = new Map(modules.flatMap(({ specifier, error }) => error === undefined ? [] : [[specifier, error]]));
  const faults: ImportFault[] = [];
  for (const { specifier: from, dependencies = [] } of modules) {
    for (const { specifier, code, type } of dependencies) {
      for (const target of [code, type]) {
        const error = target?.error ?? failed.get(target?.specifier ?? "");
        if (target === undefined || error === undefined) continue;
        const place = `${shown(from)}:${(target.span?.start.line ?? 0) + 1}`;
        const reason = error.startsWith("Module not found")
          ? `there is no ${shown(target.specifier ?? specifier)}`
          : error.split("\n")[0];
        const remote = target.specifier !== undefined && !isLocal(target.specifier);
        faults.push({ message: `${place} imports ${JSON.stringify(specifier)}: ${reason}`, remote });
      }
    }
  }
  return faults;
}

/**
 * Looks at what the module at `entrypoint` imports, and what that imports.
 *
 * @throws {StackFault} `CONFIG_INVALID` if the import map, or the entrypoint itself, cannot be read.
 */
export async function readModuleGraph(options: ModuleGraphOptions): Promise<ModuleGraph> {
  const { entrypoint, root } = options;
  const info = await denoInfo(options);
  const entry = info.modules.find(({ specifier }) => specifier === toFileUrl(entrypoint));
  if (entry?.error !== undefined) {
    throw new StackFault("CONFIG_INVALID", `${entrypoint}: ${entry.error.split("\n")[0]}`);
  }
  const packages = info.modules.flatMap(({ dependencies = [] }) =>
    dependencies.map(({ code, type }) => code?.specifier ?? type?.specifier)
  ).filter((specifier) => specifier !== undefined).filter((specifier) => !isLocal(specifier));
  return {
    files: info.modules.flatMap(({ local, specifier }) => local && isLocal(specifier) ? [local] : []).sort(),
    packages: [...new Set(packages)].sort(),
    faults: faultsOf(info, root),
  };
}
