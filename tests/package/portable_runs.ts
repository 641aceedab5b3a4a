/**
 * Runs the portable tests against the packed package, in a folder that has nothing else of the checkout:
 *
 *     deno run -A tests/package/portable_runs.ts
 *
 * @module
 */
import { certificateEnvironment, DENO_2_1 } from "../../local/deno_2_1/deno.ts";
import { PACKAGE_NAME, PACKAGE_VERSION, packageSpecifier } from "../../local/package/identity.ts";
import { parseNpm, readImports } from "../../local/package/import_map.ts";
import { toFileUrl } from "../../local/paths.ts";
import { serveStd } from "./jsr_std.ts";
import { writePortableSuite } from "./portable_suite.ts";
import { createFolder, ROOT, runCommand, servePackage } from "./support.ts";

/** The oldest Node that the package supports, by its `engines`. */
export const NODE = "node@22.1.0";

/** A package and a runtime. */
export interface PortableRun {
  readonly from: "npm" | "jsr";
  readonly on: "deno" | "deno 2.1" | "node";
}

/** The runs that are possible: Node has no packages of JSR. */
export const RUNS: readonly PortableRun[] = [
  { from: "npm", on: "deno" },
  { from: "npm", on: "deno 2.1" },
  { from: "npm", on: "node" },
  { from: "jsr", on: "deno" },
  { from: "jsr", on: "deno 2.1" },
];

/** The result of a run. */
export interface PortableResult {
  readonly code: number;
  readonly output: string;
  /** The number of files of tests. */
  readonly files: number;
  /** The number of tests that passed. */
  readonly passed: number;
}

/** Runs the portable tests of some folders of `tests/`. Default: of all that are portable. */
export async function runPortable({ from, on }: PortableRun, folders?: readonly string[]): Promise<PortableResult> {
  await using packed = await servePackage();
  await using registry = await serveStd();
  await registry.add(new URL(`${toFileUrl(packed.artifacts.jsr)}/`));
  await using folder = await createFolder(packed.registry);
  const runtime = on === "node" ? "node" : "deno";
  const { files, packages } = await writePortableSuite(ROOT, folder.path, { runtime, ...(folders && { folders }) });
  const options = { cwd: folder.path, env: { ...certificateEnvironment(), JSR_URL: registry.url } };
  // In ranges, as the package has them: two versions of one package would be two sets of classes.
  const imported = Object.entries(await readImports(ROOT)).filter(([specifier]) => packages.includes(specifier))
    .flatMap(([specifier, target]) => {
      const found = parseNpm(target);
      return found ? [{ specifier, install: `${found.name}@^${found.version}`, subpath: found.subpath }] : [];
    });
  if (on === "node") {
    const versions = new Set(imported.map(({ install }) => install));
    await folder.write("package.json", JSON.stringify({ type: "module", private: true }));
    const install = ["npm", "install", "--no-audit", "--no-fund", PACKAGE_NAME, ...versions];
    const { code, output } = await runCommand(install, options);
    if (code !== 0) return { code, output, files, passed: 0 };
    const names = await Array.fromAsync(Deno.readDir(folder.path), ({ name }) => name);
    const run = ["npx", "-y", NODE, "--test", ...names.filter((name) => name.endsWith("_test.js")).sort()];
    return resultOf(await runCommand(run, options), files);
  }
  const specifier = from === "npm" ? packageSpecifier() : `jsr:${PACKAGE_NAME}@^${PACKAGE_VERSION}`;
  const npm = Object.fromEntries(imported.map((each) => [each.specifier, `npm:${each.install}${each.subpath}`]));
  await folder.write("deno.json", JSON.stringify({ imports: { ...npm, [PACKAGE_NAME]: specifier } }));
  const deno = on === "deno" ? [Deno.execPath()] : ["npx", "-y", DENO_2_1];
  return resultOf(
    await runCommand([...deno, "test", "-A", "--no-lock", "--no-check", "--v8-flags=--expose-gc"], options),
    files,
  );
}

function resultOf({ code, output }: { readonly code: number; readonly output: string }, files: number): PortableResult {
  const [, deno, node] = /(?:^\S+ \| (\d+) passed|^(?:#|\S) pass (\d+))/m.exec(output) ?? [];
  return { code, output, files, passed: Number(deno ?? node ?? 0) };
}

if (import.meta.main) {
  for (const run of RUNS) {
    const { code, output, files, passed } = await runPortable(run);
    if (code !== 0) {
      console.error(output);
      console.error(`The package of ${run.from} fails on ${run.on}.`);
      Deno.exit(1);
    }
    console.log(`          ${run.from} on ${run.on}: ${passed} tests of ${files} files passed`);
  }
}
