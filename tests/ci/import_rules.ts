/**
 * Import rules: the layers of `shared/`, and what each folder may import.
 *
 * @module
 */

/** One import, re-export or dynamic import of a module. */
export interface ModuleImport {
  /** The specifier as written. */
  readonly specifier: string;
  /** True for `export * from "…"`. */
  readonly exportsAll: boolean;
}

/**
 * The folders of `shared/` from the bottom up. A folder may import any folder of a lower layer, none of its own layer
 * and none of a higher one.
 */
const LAYERS: readonly (readonly string[])[] = [
  ["resilience", "environment"],
  ["cache", "observability"],
  ["pool"],
  ["supabase", "postgres"],
  ["services", "data"],
  ["http"],
];

/** The modules that functions may import. Each is uploaded and loaded only where it is imported. */
const ENTRY_POINTS: ReadonlySet<string> = new Set([
  "shared/mod.ts",
  "shared/http/hono.ts",
  "shared/http/fields.ts",
  "shared/http/postgres.ts",
  "shared/postgres/mod.ts",
  "shared/data/mod.ts",
  "shared/data/connection_log/mod.ts",
  "shared/cache/mod.ts",
  "shared/observability/mod.ts",
]);

/**
 * Modules beside `mod.ts` that other folders of `shared/` may import, so that `mod.ts` does not load Postgres or what is
 * loaded on demand.
 */
const SEPARATE_MODULES: ReadonlySet<string> = new Set([
  "shared/observability/alerts/mod.ts",
  "shared/observability/fleet/mod.ts",
  "shared/observability/log/mod.ts",
  "shared/observability/metrics/mod.ts",
  "shared/observability/tracing/mod.ts",
  "shared/observability/tracing/otel/mod.ts",
  "shared/observability/monitors/health_sources.ts",
  "shared/resilience/adaptive_limit.ts",
  "shared/resilience/load_balancer.ts",
  "shared/services/pooled_postgres_service.ts",
]);

/** Parses a module and returns its imports. Works under `deno test` only, which offers the parser of `deno lint`. */
export function parseImports(path: string, source: string): ModuleImport[] {
  const imports: ModuleImport[] = [];
  const add = (node: { readonly type: string; readonly value?: unknown } | null, exportsAll = false) => {
    if (typeof node?.value === "string") imports.push({ specifier: node.value, exportsAll });
  };
  const plugin: Deno.lint.Plugin = {
    name: "imports",
    rules: {
      imports: {
        create: () => ({
          ImportDeclaration: ({ source }) => add(source),
          ExportNamedDeclaration: ({ source }) => add(source),
          ExportAllDeclaration: ({ source }) => add(source, true),
          ImportExpression: ({ source }) => add(source),
          TSImportType: ({ argument }) => add(argument.type === "TSLiteralType" ? argument.literal : argument),
        }),
      },
    },
  };
  Deno.lint.runPlugin(plugin, path, source);
  return imports;
}

/** Resolves a relative specifier to a path from the root. Returns `undefined` for packages. */
function resolveLocal(path: string, specifier: string): string | undefined {
  if (!/^\.{0,2}\//.test(specifier)) return undefined;
  return new URL(specifier, `file:///${path}`).pathname.slice(1);
}

/** Returns the top-level folder of a path, and the folder below it. */
function foldersOf(path: string): readonly [top: string, folder: string] {
  const [top = "", ...rest] = path.split("/");
  return [top, rest.length > 1 ? rest[0] ?? "" : ""];
}

function layerOf(folder: string): number {
  return LAYERS.findIndex((folders) => folders.includes(folder));
}

function violationInShared(from: string, to: string): string | undefined {
  const [, fromFolder] = foldersOf(from);
  const [toTop, toFolder] = foldersOf(to);
  if (toTop !== "shared") return "shared/ imports nothing outside itself";
  if (fromFolder === toFolder) return undefined;
  if (toFolder === "") return "shared/mod.ts is for importers outside shared/";
  if (layerOf(toFolder) < 0) return `shared/${toFolder} has no layer: add it to LAYERS`;
  // The public surface imports every layer.
  if (fromFolder !== "") {
    if (layerOf(fromFolder) < 0) return `shared/${fromFolder} has no layer: add it to LAYERS`;
    if (layerOf(toFolder) >= layerOf(fromFolder)) {
      return `shared/${fromFolder} may not import shared/${toFolder}: its layer is not lower`;
    }
  }
  const isPublic = to === `shared/${toFolder}/mod.ts` || ENTRY_POINTS.has(to) || SEPARATE_MODULES.has(to);
  return isPublic ? undefined : `import shared/${toFolder}/mod.ts, not a module inside the folder`;
}

function violationInFunctions(from: string, to: string): string | undefined {
  const [, fromFolder] = foldersOf(from);
  const [toTop, toFolder] = foldersOf(to);
  if (toTop === "functions") {
    const allowed = toFolder === fromFolder || toFolder === "_app";
    return allowed ? undefined : "a function imports its own folder and functions/_app only";
  }
  return ENTRY_POINTS.has(to) ? undefined : `functions import entry points only: ${[...ENTRY_POINTS].join(", ")}`;
}

/** Returns one line for each import of the module at `path` that breaks a rule. */
export function importViolations(path: string, imports: readonly ModuleImport[]): string[] {
  const [top] = foldersOf(path);
  return imports.flatMap(({ specifier, exportsAll }) => {
    const reasons: (string | undefined)[] = [];
    if (exportsAll && top === "shared") reasons.push("list the exported names");
    const to = resolveLocal(path, specifier);
    if (to !== undefined && top === "shared") reasons.push(violationInShared(path, to));
    if (to !== undefined && top === "functions") reasons.push(violationInFunctions(path, to));
    return reasons.flatMap((reason) => reason === undefined ? [] : [`${path} imports "${specifier}": ${reason}`]);
  });
}

/** Returns the paths that `entry` reaches through local imports, `entry` included. */
export function reachableFrom(entry: string, modules: ReadonlyMap<string, readonly ModuleImport[]>): Set<string> {
  const reached = new Set([entry]);
  for (const path of reached) {
    for (const { specifier } of modules.get(path) ?? []) {
      const to = resolveLocal(path, specifier);
      if (to !== undefined) reached.add(to);
    }
  }
  return reached;
}
