/**
 * `deno doc --lint` for the entry points of `shared/`, without one kind of report:
 *
 *     deno run -A tests/ci/doc_lint.ts
 *
 * `deno doc` takes every type of an npm package, such as `SupabaseClient` or zod's `ZodType`, for a private type of this
 * one. To export such a type does not help: `deno doc` then reports the members that the package does not document.
 *
 * @module
 */
import { stripVTControlCharacters } from "node:util";

/** The entry points of the library. */
const ENTRY_POINTS = [
  "shared/mod.ts",
  "shared/http/hono.ts",
  "shared/http/fields.ts",
  "shared/http/postgres.ts",
  "shared/postgres/mod.ts",
  "shared/data/mod.ts",
  "shared/cache/mod.ts",
  "shared/data/tunnel/mod.ts",
  "shared/data/connection_log/mod.ts",
];

/** One report of `deno doc --lint`. */
export interface DocReport {
  /** The file's path, relative to the root. */
  readonly path: string;
  /** The line number, from 1. */
  readonly line: number;
  /** The rule, for example `missing-jsdoc`. */
  readonly rule: string;
  /** The message. */
  readonly message: string;
}

/** Parses the output of `deno doc --lint`, with paths below `root`. */
export function parseDocReports(output: string, root: URL): DocReport[] {
  const plain = stripVTControlCharacters(output);
  return Array.from(
    plain.matchAll(/^error\[([a-z-]+)\]: (.*)\n\s*--> (.*):(\d+):\d+$/gm),
    ([, rule = "", message = "", path = "", line]) => ({
      path: path.replace(root.pathname, ""),
      line: Number(line),
      rule,
      message,
    }),
  );
}

/** Returns true if `source` imports a type of that name from a package, alone or as a member of `* as namespace`. */
function importsFromPackage(source: string, name: string): boolean {
  return Array.from(source.matchAll(/^import ([^;]*?) from "([^"]+)";$/gms)).some(([, names = "", from = ""]) => {
    if (/^\.{0,2}\//.test(from)) return false;
    const [, namespace] = /\* as (\w+)/.exec(names) ?? [];
    return new RegExp(namespace === undefined ? `\\b${name}\\b` : `\\b${namespace}\\.${name}\\b`)
      .test(namespace === undefined ? names : source);
  });
}

/** Returns true if a report applies to the module with this source: a package documents what is exported from it. */
export function reportApplies({ path, rule, message }: DocReport, source: string): boolean {
  if (path.startsWith("node_modules/")) return false;
  const [, name] = /references private type '([^']+)'$/.exec(message) ?? [];
  return rule !== "private-type-ref" || name === undefined || !importsFromPackage(source, name);
}

/** Runs `deno doc --lint` and returns the reports that apply. */
export async function lintDocs(root: URL): Promise<DocReport[]> {
  const { stdout, stderr } = await new Deno.Command(Deno.execPath(), {
    args: ["doc", "--lint", ...ENTRY_POINTS],
    cwd: root,
    env: { NO_COLOR: "1" },
  }).output();
  const output = new TextDecoder().decode(stderr);
  const reports = parseDocReports(output, root);
  if (reports.length === 0 && stdout.length === 0) throw new Error(`Cannot lint the docs: ${output}`);
  const applying: DocReport[] = [];
  for (const report of reports) {
    if (reportApplies(report, await Deno.readTextFile(new URL(report.path, root)))) applying.push(report);
  }
  return applying;
}

if (import.meta.main) {
  const reports = await lintDocs(new URL("../../", import.meta.url));
  for (const { path, line, rule, message } of reports) console.log(`${path}:${line} ${rule}: ${message}`);
  console.log(`${reports.length} reports`);
  if (reports.length > 0) Deno.exit(1);
}
