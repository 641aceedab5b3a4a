/**
 * `deno task test:2.1`: runs the tests of `shared/` and `functions/` on the Deno
 * whose interfaces the hosted runtime offers. That Deno knows neither `links`
 * nor our lock file, so it gets an import map of its own.
 *
 * Arguments are passed on to `deno test`, e.g. `deno task test:2.1 --filter health`.
 *
 * @module
 */
import { type LinkedPackage, withLinkedPackages } from "./import_map.ts";

/** The version the hosted runtime is compatible with. */
const VERSION = "2.1.4";

/** What runs on the hosted runtime; the local stack and its tests do not. */
const FOLDERS = ["pool", "resilience", "supabase", "services", "http", "functions"];

const root = new URL("../../", import.meta.url);

async function readJson<T>(path: string | URL): Promise<T> {
  return JSON.parse(await Deno.readTextFile(new URL(path, root)));
}

async function readPackage(path: string): Promise<LinkedPackage> {
  const folder = new URL(`${path}/`, root);
  const { name, exports } = await readJson<Pick<LinkedPackage, "name" | "exports">>(new URL("deno.json", folder));
  return { name, exports, folder };
}

async function exists(folder: string): Promise<boolean> {
  try {
    return (await Deno.stat(new URL(folder, root))).isDirectory;
  } catch (error) {
    if (error instanceof Deno.errors.NotFound) return false;
    throw error;
  }
}

/**
 * What the older Deno needs to be told. Behind a private certificate authority
 * one of these variables names it, and this Deno looks at neither by itself.
 */
function environment(): Record<string, string> {
  const isPrivate = ["NODE_EXTRA_CA_CERTS", "SSL_CERT_FILE"].some((name) => Deno.env.get(name));
  return isPrivate && !Deno.env.has("DENO_TLS_CA_STORE") ? { DENO_TLS_CA_STORE: "mozilla,system" } : {};
}

async function run(extra: string[]): Promise<number> {
  const { links } = await readJson<{ links: string[] }>("deno.json");
  const { imports } = await readJson<{ imports: Record<string, string> }>("import_map.json");
  const packages = await Promise.all(links.map(readPackage));

  const folders: string[] = [];
  for (const name of FOLDERS) if (await exists(`tests/${name}`)) folders.push(`tests/${name}/`);

  const map = await Deno.makeTempFile({ prefix: "import_map_", suffix: ".json" });
  try {
    await Deno.writeTextFile(map, JSON.stringify({ imports: withLinkedPackages(imports, packages) }));
    const command = new Deno.Command("npx", {
      args: [
        ...["-y", `deno@${VERSION}`, "test", "-A", "--parallel", "--no-lock", "--no-config"],
        // Types are checked by the newer compiler, with the options of deno.json.
        ...["--no-check", "--node-modules-dir=none", "--import-map", map, ...extra, ...folders],
      ],
      cwd: root,
      env: environment(),
      stdin: "null",
    });
    return (await command.spawn().status).code;
  } finally {
    await Deno.remove(map);
  }
}

if (import.meta.main) Deno.exit(await run(Deno.args));
