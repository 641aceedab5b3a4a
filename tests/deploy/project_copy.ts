/**
 * A copy of this project to deploy from, with files that must not be uploaded and a function that reports its
 * environment.
 *
 * @module
 */
import { fromFileUrl } from "../../local/paths.ts";

/** This project's folder. */
export const PROJECT = fromFileUrl(new URL("../../", import.meta.url));

/** The content of every file that must not be uploaded. */
export const MARKER = "this must not leave the machine";

const DECOYS = [
  ".env",
  ".env.local",
  ".local/keys.json",
  "bench/pool/notes.ts",
  "deno.json",
  "deno.lock",
  "functions/.env",
  "functions/budgets/.env",
  "functions/budgets/.env.production",
  "functions/budgets/draft.ts",
  "functions/budgets/handler_test.ts",
  "functions/budgets/notes.md",
  "local/keys.ts",
  "node_modules/zod/index.js",
  "shared/http/unused.ts",
  "supabase/functions/.env",
  "tests/e2e/support.ts",
];

function decoy(path: string): string {
  if (path.endsWith(".json")) return JSON.stringify({ note: MARKER });
  return path.includes(".env") ? `NOTE="${MARKER}"\n` : `// ${MARKER}\n`;
}

/** A function that exists in the copy only. Its comment would confuse a search for imports by text. */
const PROBE = `
// It says 'import' and "from" here, and means nothing by it.
import { systemClock } from "../../shared/resilience/mod.ts";

export default {
  async fetch(request: Request): Promise<Response> {
    const url = new URL(request.url);
    switch (url.pathname) {
      case "/probe/environment":
        return Response.json(Deno.env.toObject());
      case "/probe/read":
        return new Response(
          await Deno.readTextFile(url.searchParams.get("path") ?? "").catch((error) => error.name),
        );
      default:
        return Response.json({ now: systemClock.now() });
    }
  },
};
`;

const PROBE_CONFIG = `
[functions.probe]
verify_jwt = false
entrypoint = "../functions/probe/index.ts"
import_map = "../import_map.json"
`;

async function copy(from: string, to: string): Promise<void> {
  if (!(await Deno.stat(from)).isDirectory) return await Deno.copyFile(from, to);
  await Deno.mkdir(to, { recursive: true });
  for await (const { name } of Deno.readDir(from)) await copy(`${from}/${name}`, `${to}/${name}`);
}

/** A project in a temporary folder. */
export interface ProjectCopy extends AsyncDisposable {
  /** Its folder. */
  readonly root: string;
  /** Writes one of its files. */
  write(path: string, text: string): Promise<void>;
}

async function copyParts(parts: readonly string[]): Promise<ProjectCopy> {
  // With the links in its path resolved, as in messages.
  const root = await Deno.realPath(await Deno.makeTempDir({ prefix: "deploy-test-" }));
  await Deno.mkdir(`${root}/supabase`);
  for (const part of parts) await copy(`${PROJECT}/${part}`, `${root}/${part}`);
  return {
    root,
    write: async (path, text) => {
      await Deno.mkdir(`${root}/${path}`.replace(/\/[^/]*$/, ""), { recursive: true });
      await Deno.writeTextFile(`${root}/${path}`, text);
    },
    [Symbol.asyncDispose]: () => Deno.remove(root, { recursive: true }),
  };
}

/** Copies the files of a deployment. */
export async function copyProject(): Promise<ProjectCopy> {
  const project = await copyParts(["functions", "shared", "import_map.json", "supabase/config.toml"]);
  const config = await Deno.readTextFile(`${PROJECT}/supabase/config.toml`);
  await project.write("supabase/config.toml", `${config}\n${PROBE_CONFIG}`);
  await project.write("functions/probe/index.ts", PROBE);
  for (const path of DECOYS) await project.write(path, decoy(path));
  return project;
}

/** Copies the files of the database: a project without functions. */
export function copyDatabase(): Promise<ProjectCopy> {
  return copyParts(["supabase/migrations", "supabase/seed.sql"]);
}
