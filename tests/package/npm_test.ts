import { assert, assertEquals } from "@std/assert";
import { DENO_2_1 } from "../../local/deno_2_1/deno.ts";
import { certificateEnvironment } from "../../local/deno_2_1/deno.ts";
import { ENTRY_POINTS, PACKAGE_NAME, packageSpecifier } from "../../local/package/identity.ts";
import { NODE_RANGE } from "../../local/package/npm.ts";
import { LIBRARY_PACKAGES } from "../../local/package/vendor.ts";
import { npmProgram } from "../support/components.ts";
import { startFakeProject } from "../support/fake_project.ts";
import { NODE } from "./portable_runs.ts";
import { createFolder, printed, program, runCommand, servePackage } from "./support.ts";

const node = await npmProgram(NODE);
const deno21 = await npmProgram(DENO_2_1, { env: certificateEnvironment() });

/** The output of the program where everything works. */
const EXPECTED = {
  status: 200,
  total: "2",
  body: [{ id: 1 }],
  kinds: ["function", "function", "limit,offset"],
};

/** A module that imports every entry point and prints those that export something. */
function everyEntryPoint(): string {
  const subpaths = Object.keys(ENTRY_POINTS);
  const imports = subpaths.map((subpath, i) => `import * as m${i} from "${PACKAGE_NAME}${subpath.slice(1)}";`);
  const rows = subpaths.map((subpath, i) => `["${subpath}", Object.keys(m${i}).length]`);
  const print = `console.log([${rows.join(", ")}].filter(([, n]) => Number(n) > 0).map(([name]) => name).join());`;
  return `${imports.join("\n")}\n${print}\n`;
}

function startNotes() {
  const project = startFakeProject();
  project.answer = () => Response.json([{ id: 1 }]);
  return project;
}

Deno.test("The npm package contains the bundle, the tools and the documents, and no TypeScript sources", async () => {
  await using packed = await servePackage();
  await using folder = await createFolder(packed.registry);
  const { output } = await runCommand(["tar", "-tzf", packed.artifacts.tarball], { cwd: folder.path });
  const paths = output.trim().split("\n").map((path) => path.replace("package/", ""));
  for (const expected of ["LICENSE", "README.md", "CHANGELOG.md", "docs/installing.md", "tools/sources.json.gz"]) {
    assert(paths.includes(expected), `${expected} is missing`);
  }
  for (const path of paths.filter((path) => /^docs\/.*\.md$/.test(path))) {
    const text = await Deno.readTextFile(`${packed.artifacts.npm}/${path}`);
    for (const [, link = ""] of text.matchAll(/\]\((?!https?:)([\w.-]+)(?:#[^)]*)?\)/g)) {
      assert(paths.includes(`docs/${link}`), `${path} links to ${link}, which is missing`);
    }
  }
  assertEquals(paths.filter((path) => /(?<!\.d)\.ts$/.test(path)), []);
  const manifest = JSON.parse(await Deno.readTextFile(`${packed.artifacts.npm}/package.json`));
  for (const target of Object.values<string | { types: string; default: string }>(manifest.exports)) {
    for (const file of typeof target === "string" ? [target] : [target.types, target.default]) {
      assert(paths.includes(file.slice(2)), `${file} is exported and missing`);
    }
  }
  assertEquals(Object.keys(ENTRY_POINTS).filter((subpath) => !(subpath in manifest.exports)), []);
});

Deno.test("The bundle imports only the packages that package.json and LIBRARY_PACKAGES name", async () => {
  await using packed = await servePackage();
  const { npm } = packed.artifacts;
  const manifest = JSON.parse(await Deno.readTextFile(`${npm}/package.json`));
  const declared = Object.keys({ ...manifest.dependencies, ...manifest.peerDependencies }).sort();
  const specifiers = new Set<string>();
  const folders = ["", "/chunks", "/http"].map((folder) => `${npm}/dist${folder}`);
  for (const folder of folders) {
    for await (const { name } of Deno.readDir(folder)) {
      if (!/\.(js|ts)$/.test(name)) continue;
      const text = await Deno.readTextFile(`${folder}/${name}`);
      // An example in a docstring is no import.
      for (const [, found = ""] of text.matchAll(/^(?!\s*\*).*(?:from |import\()"([^."][^"]*)"/gm)) {
        specifiers.add(found);
      }
    }
  }
  const packages = [...specifiers].filter((each) => !each.startsWith("node:")).sort();
  assertEquals(packages, [...LIBRARY_PACKAGES]);
  const names = packages.map((each) => each.split("/").slice(0, each.startsWith("@") ? 2 : 1).join("/"));
  assertEquals([...new Set(names)].sort(), declared);
});

Deno.test("The npm package type-checks and runs in a function of this Deno", async () => {
  await using packed = await servePackage();
  await using folder = await createFolder(packed.registry);
  await using project = startNotes();
  await folder.write("deno.json", JSON.stringify({ imports: { [PACKAGE_NAME]: packageSpecifier() } }));
  await folder.write("program.ts", program(""));
  const options = { cwd: folder.path, env: { PROJECT_URL: project.url } };
  const { code, output } = await runCommand([Deno.execPath(), "run", "--check", "-A", "program.ts"], options);
  assertEquals(code, 0, output);
  assertEquals(printed(output), EXPECTED);
});

Deno.test({
  name: `The npm package runs in a function of Deno 2.1.4${deno21.note}`,
  ignore: deno21.ignore,
  fn: async () => {
    await using packed = await servePackage();
    await using folder = await createFolder(packed.registry);
    await using project = startNotes();
    await folder.write("deno.json", JSON.stringify({ imports: { [PACKAGE_NAME]: packageSpecifier() } }));
    await folder.write("program.ts", program(""));
    const { code, output } = await runCommand(["npx", "-y", DENO_2_1, "run", "--no-lock", "-A", "program.ts"], {
      cwd: folder.path,
      env: { ...certificateEnvironment(), PROJECT_URL: project.url },
    });
    assertEquals(code, 0, output);
    assertEquals(printed(output), EXPECTED);
  },
});

Deno.test({
  name: `The npm package runs on the oldest Node that it supports, and type-checks there${node.note}`,
  ignore: node.ignore,
  fn: async () => {
    assertEquals(NODE_RANGE, `>=${NODE.slice("node@".length, -".0".length)}`);
    await using packed = await servePackage();
    await using folder = await createFolder(packed.registry);
    await using project = startNotes();
    await folder.write("package.json", JSON.stringify({ type: "module", private: true }));
    await folder.write("program.mjs", program(""));
    await folder.write("program.mts", program(""));
    const options = { cwd: folder.path, env: { PROJECT_URL: project.url } };
    const tools = ["typescript@5.9.3", "@types/node@22", "hono@4"];
    const installed = await runCommand(["npm", "install", "--no-audit", "--no-fund", PACKAGE_NAME, ...tools], options);
    assertEquals(installed.code, 0, installed.output);
    const run = await runCommand(["npx", "-y", NODE, "program.mjs"], options);
    assertEquals(run.code, 0, run.output);
    assertEquals(printed(run.output), EXPECTED);
    await folder.write("every.mts", everyEntryPoint());
    const check = ["npx", "tsc", "--noEmit", "--strict", "--exactOptionalPropertyTypes", "--target", "esnext"];
    for (
      const [module, resolution] of [["node16", "node16"], ["nodenext", "nodenext"], ["esnext", "bundler"]] as const
    ) {
      const mode = ["--module", module, "--moduleResolution", resolution];
      const types = await runCommand([...check, ...mode, "program.mts", "every.mts"], options);
      assertEquals([resolution, types.output], [resolution, ""]);
    }
    const every = await runCommand(["npx", "-y", NODE, "--input-type=module", "--eval", everyEntryPoint()], options);
    assertEquals([every.code, every.output.trim()], [0, Object.keys(ENTRY_POINTS).join()]);
  },
});
