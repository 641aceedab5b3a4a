/**
 * Tests of `shared/` as files that import the package in place of `shared/`, for Deno and Node.
 *
 * @module
 */
import { rolldown } from "rolldown";
import { bundledPackages, TARGET } from "../../local/package/bundle.ts";
import { PACKAGE_NAME } from "../../local/package/identity.ts";
import { fromFileUrl, toFileUrl } from "../../local/paths.ts";
import { PortableTests } from "./portable_tests.ts";

/** The folders of the tests. Those of others need a server, a browser or the checkout. */
export const FOLDERS = ["http", "pool", "resilience", "services", "supabase"] as const;

/** Tests that search for minutes, and tell calls apart by the stacks of the sources. */
const LEFT_OUT = /\/properties\/|\/stress_test\.ts$/;

/** Prefix of a module whose names come from the package. */
const FROM_PACKAGE = "\0package:";

/** A module that takes the public names of a module of `shared/` from the package. */
async function fromPackage(tests: PortableTests, module: string): Promise<string> {
  const lines: string[] = [];
  for (const [as, { subpath, name }] of await tests.publicNames(module)) {
    lines.push(`export { ${name} as ${as} } from "${PACKAGE_NAME}${subpath.slice(1)}";`);
  }
  return lines.join("\n");
}

/** Written tests. */
export interface PortableSuite {
  /** The number of files. */
  readonly files: number;
  /** The specifiers of the packages that they import. */
  readonly packages: readonly string[];
}

/** The part of Deno's API that most tests use, for Node. */
const DENO_ON_NODE = `import { test as nodeTest } from "node:test";
import { inspect as nodeInspect } from "node:util";
import nodeProcess from "node:process";
import { writeFile as nodeWriteFile } from "node:fs/promises";
const denoOnNode = {
  test(name, fn) {
    const { name: title, fn: run, ignore } = typeof name === "object" ? name : { name, fn };
    nodeTest(title, { skip: ignore === true }, (t) => run({ step: (name, fn) => t.test(name, () => fn({})) }));
  },
  inspect: nodeInspect,
  env: { get: (name) => nodeProcess.env[name], toObject: () => ({ ...nodeProcess.env }) },
  writeTextFile: nodeWriteFile,
};
`;

/** An API of Deno that {@linkcode DENO_ON_NODE} does not have. */
const DENO_ONLY = /\bDeno\.(?!(test|inspect|env|writeTextFile)\b)\w/;

/**
 * Writes the portable tests of some folders into `folder`: a module for each, `<folder>_<name>_test.js`.
 *
 * @param runtime For `node`, tests that need an API such as `Deno.serve` are left out.
 * @returns The number of files, and the packages that they import.
 */
export async function writePortableSuite(
  root: URL,
  folder: string,
  { folders = FOLDERS, runtime = "deno" }: {
    readonly folders?: readonly string[];
    readonly runtime?: "deno" | "node";
  } = {},
): Promise<PortableSuite> {
  const tests = await PortableTests.read(root);
  const paths = (await Promise.all(folders.map((name) => tests.list(`tests/${name}`)))).flat()
    .filter((path) => !LEFT_OUT.test(path));
  const shared = fromFileUrl(new URL("shared/", root));
  const alias = await bundledPackages(root);
  const packages = new Set<string>();
  let files = 0;
  for (const path of paths) {
    const build = await rolldown({
      cwd: fromFileUrl(root),
      input: fromFileUrl(new URL(path, root)),
      resolve: { alias },
      external: (specifier) => !/^[./\0]|^[A-Za-z]:/.test(specifier) && !(specifier in alias),
      platform: "neutral",
      transform: { target: TARGET },
      checks: { pluginTimings: false },
      plugins: [{
        name: "package",
        async resolveId(specifier, importer) {
          if (importer === undefined || !specifier.startsWith(".")) return null;
          const resolved = await this.resolve(specifier, importer, { skipSelf: true });
          return resolved?.id.startsWith(shared) ? `${FROM_PACKAGE}${resolved.id}` : resolved;
        },
        load: (id) =>
          id.startsWith(FROM_PACKAGE) ? fromPackage(tests, toFileUrl(id.slice(FROM_PACKAGE.length)).toString()) : null,
      }],
    });
    const { output: [chunk] } = await build.generate({ format: "esm" });
    await build.close();
    if (runtime === "node" && DENO_ONLY.test(chunk.code)) continue;
    const name = path.replace(/^tests\//, "").replaceAll("/", "_").replace(/\.ts$/, ".js");
    const code = runtime === "deno" ? chunk.code : DENO_ON_NODE + chunk.code.replaceAll(/\bDeno\./g, "denoOnNode.");
    await Deno.writeTextFile(`${folder}/${name}`, code);
    for (const name of chunk.imports) if (!/^node:/.test(name)) packages.add(name);
    files += 1;
  }
  return { files, packages: [...packages].sort() };
}
