/**
 * The packed package, served by a registry on loopback, and folders that install it.
 *
 * @module
 */
import { type Artifacts, buildArtifacts } from "../../local/package/artifacts.ts";
import { PACKAGE_NAME } from "../../local/package/identity.ts";
import { NpmRegistry } from "../../local/package/npm_registry.ts";

/** This checkout. */
export const ROOT = new URL("../../", import.meta.url);

/** The packed package and its registry. */
export interface PackedPackage extends AsyncDisposable {
  readonly artifacts: Artifacts;
  readonly registry: NpmRegistry;
  /** Variables under which Deno and npm take every package from the registry. */
  readonly env: Readonly<Record<string, string>>;
}

/** Builds the package, if its sources have changed, and serves it. */
export async function servePackage(): Promise<PackedPackage> {
  const artifacts = await buildArtifacts(ROOT);
  const registry = await NpmRegistry.start(artifacts.tarball, artifacts.npm);
  const cache = await Deno.makeTempDir({ prefix: "package-cache-" });
  return {
    artifacts,
    registry,
    env: { NPM_CONFIG_REGISTRY: registry.url, SUPABASE_POOL_CACHE: cache },
    async [Symbol.asyncDispose]() {
      await registry[Symbol.asyncDispose]();
      await Deno.remove(cache, { recursive: true });
      await forgetRegistry(registry.port);
    },
  };
}

/** Removes what Deno cached of a registry on loopback, which no later run can use. */
async function forgetRegistry(port: number): Promise<void> {
  const { stdout } = await new Deno.Command(Deno.execPath(), { args: ["info", "--json"], cwd: "/" }).output();
  const { npmCache, modulesCache } = JSON.parse(new TextDecoder().decode(stdout));
  for (
    const folder of [
      `${npmCache}/${port}`,
      `${npmCache}/127.0.0.1_${port}`,
      `${modulesCache}/http/127.0.0.1_PORT${port}`,
    ]
  ) {
    await Deno.remove(folder, { recursive: true }).catch(() => {});
  }
}

/** A temporary folder. */
export interface Folder extends AsyncDisposable {
  readonly path: string;
  /** Writes a file, and its folder. */
  write(path: string, text: string): Promise<void>;
}

/** Creates a temporary folder in which npm and Deno take the package's scope from `registry`. */
export async function createFolder(registry: NpmRegistry): Promise<Folder> {
  const path = await Deno.makeTempDir({ prefix: "package-" });
  const folder: Folder = {
    path,
    async write(name, text) {
      const file = `${path}/${name}`;
      await Deno.mkdir(file.slice(0, file.lastIndexOf("/")), { recursive: true });
      await Deno.writeTextFile(file, text);
    },
    [Symbol.asyncDispose]: () => Deno.remove(path, { recursive: true }),
  };
  await folder.write(".npmrc", registry.npmrc);
  return folder;
}

/** The result of a command. */
export interface CommandRun {
  readonly code: number;
  /** The output of both streams, without colors. */
  readonly output: string;
}

/** Runs a command to its end. */
export async function runCommand(
  [program = "", ...args]: readonly string[],
  { cwd, env = {} }: { readonly cwd: string; readonly env?: Readonly<Record<string, string>> },
): Promise<CommandRun> {
  const { code, stdout, stderr } = await new Deno.Command(program, {
    args,
    cwd,
    env: { ...env, NO_COLOR: "1", DENO_NO_UPDATE_CHECK: "1", npm_config_yes: "true" },
    stdin: "null",
  }).output();
  const decoder = new TextDecoder();
  return { code, output: decoder.decode(stdout) + decoder.decode(stderr) };
}

/**
 * A module for Deno and Node that sends one request to a handler of the package and prints the response: a row read
 * from the project at `PROJECT_URL`.
 *
 * @param from The prefix of packages: `npm:` for Deno without an import map.
 */
export function program(from: string): string {
  const specifier = JSON.stringify(`${from}${PACKAGE_NAME}`).slice(1, -1);
  return `
import process from "node:process";
import { withPooledSupabase } from "${specifier}";
import { pageFields } from "${specifier}/fields";
import { withPooledPostgres } from "${specifier}/http/postgres";
import { PostgresConnectionManager } from "${specifier}/postgres";

const { PROJECT_URL } = process.env;
const url = PROJECT_URL ?? "";
const env = { url, publishableKeys: { default: "sb_publishable_x" }, secretKeys: { default: "sb_secret_x" }, jwks: null };
const handler = withPooledSupabase({ auth: "publishable", env }, async (_request, ctx) => {
  const { data, error } = await ctx.supabase.from("notes").select();
  if (error) throw error;
  return Response.json(data);
});
const request = new Request("http://localhost/notes", { headers: { apikey: "sb_publishable_x" } });
const response = await handler(request);
console.log(JSON.stringify({
  status: response.status,
  total: response.headers.get("x-pool-total-connections"),
  body: await response.json(),
  kinds: [typeof withPooledPostgres, typeof PostgresConnectionManager, Object.keys(pageFields).join()],
}));
`;
}

/** The last line of output that {@linkcode program} printed, parsed. */
export function printed(output: string): unknown {
  const line = output.trim().split("\n").findLast((each) => each.startsWith("{"));
  return line === undefined ? output : JSON.parse(line);
}
