/**
 * Imports between tests and modules: a fault is noticed first by the tests that
 * are nearest to its module.
 *
 * @module
 */

interface Graph {
  readonly modules: readonly {
    readonly specifier: string;
    readonly dependencies?: readonly { readonly code?: { readonly specifier?: string } }[];
  }[];
}

/** Returns the modules that each module below a folder imports, from the given ones on, as paths in that folder. */
export async function importGraph(folder: string, from: readonly string[]): Promise<Map<string, string[]>> {
  const root = `file://${folder}/`;
  const entry = `${folder}/imports_of_tests.ts`;
  await Deno.writeTextFile(entry, from.map((path) => `import "./${path}";\n`).join(""));
  try {
    const { success, stdout, stderr } = await new Deno.Command(Deno.execPath(), {
      args: ["info", "--json", entry],
      cwd: folder,
      env: { NO_COLOR: "1" },
    }).output();
    if (!success) throw new Error(`Cannot list the imports of the tests: ${new TextDecoder().decode(stderr)}`);
    const { modules }: Graph = JSON.parse(new TextDecoder().decode(stdout));
    const local = (specifier = "") => specifier.startsWith(root) ? [specifier.slice(root.length)] : [];
    return new Map(modules.flatMap(({ specifier, dependencies = [] }) => {
      const imported = dependencies.flatMap(({ code }) => local(code?.specifier));
      return local(specifier).map((path): [string, string[]] => [path, imported]);
    }));
  } finally {
    await Deno.remove(entry);
  }
}

/** Tests of a module: those that are likely to notice a fault in it, and the rest, the nearest first. */
export interface TestOrder {
  readonly near: readonly string[];
  readonly far: readonly string[];
}

/**
 * Sorts tests: near are those named like the module (`wait_queue_test.ts` for `wait_queue.ts`), and those that import
 * it. Behind them are the others, by the number of imports to it, and last those that may reach it through a process.
 */
export function nearestFirst(
  tests: readonly string[],
  module: string,
  imports: ReadonlyMap<string, readonly string[]>,
): TestOrder {
  const stem = module.replace(/^.*\//, "").replace(/\.ts$/, "");
  const importers = new Map<string, string[]>();
  for (const [from, targets] of imports) {
    for (const to of targets) importers.set(to, [...importers.get(to) ?? [], from]);
  }
  const distances = new Map([[module, 0]]);
  // The map grows while it is read, nearest first.
  for (const [path, distance] of distances) {
    for (const importer of importers.get(path) ?? []) {
      if (!distances.has(importer)) distances.set(importer, distance + 1);
    }
  }
  const rank = (test: string) => {
    return (test.split("/").at(-1) ?? "").startsWith(stem) ? 0 : distances.get(test) ?? Infinity;
  };
  const sorted = [...tests].sort((a, b) => rank(a) - rank(b) || 0);
  return { near: sorted.filter((test) => rank(test) <= 1), far: sorted.filter((test) => rank(test) > 1) };
}
