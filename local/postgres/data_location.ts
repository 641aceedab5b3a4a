/**
 * The location of Postgres's data and programs.
 *
 * The data is in the state folder of the project. If root starts the stack in a
 * folder that other users cannot enter, the user that Postgres runs as cannot
 * reach it there. Then the data is in a folder in `/var/tmp` with a random name,
 * which is recorded in the state folder.
 *
 * @module
 */
import { StackError } from "../stack_error.ts";
import { completeLinks, copyBinaries, locateBinaries, requestedVersion } from "./binaries.ts";
import { createInstallation } from "./installation.ts";
import { canReach, choosePostgresUser, type UnixUser } from "./unix_user.ts";

/** The location of one Postgres. */
export interface DataLocation {
  /** The data folder; `initdb` has run in it if it holds `PG_VERSION`. */
  readonly data: string;
  /** The folder that contains `bin`, `lib` and `share`. */
  readonly binaries: string;
  /** Its major version. */
  readonly major: string;
  /** The user that it runs as. `undefined`: the current user. */
  readonly user: UnixUser | undefined;
  /** A folder to delete when Postgres ends. `undefined`: everything is kept. */
  readonly temporaryFolder: string | undefined;
}

const PREFIX = "supabase-pool-";

async function createFolder(path: string, user: UnixUser | undefined): Promise<void> {
  await Deno.mkdir(path, { recursive: true, mode: 0o700 });
  await Deno.chmod(path, 0o700);
  if (user) await Deno.chown(path, user.uid, user.gid);
}

/** Creates a folder of `user` in the first of `parents` that they can reach. */
async function createReachable(parents: readonly string[], user: UnixUser | undefined): Promise<string> {
  for (const dir of parents) {
    const folder = await Deno.makeTempDir({ dir, prefix: PREFIX }).catch(() => undefined);
    if (folder === undefined) continue;
    await createFolder(folder, user);
    if (!user || await canReach(user, folder)) return folder;
    await Deno.remove(folder);
  }
  throw new StackError(
    "NOT_WRITABLE",
    `Cannot create a folder for Postgres in ${parents.join(" or ")}: make one of them writable.`,
  );
}

/** Returns the folder that an earlier run recorded, if it exists and only its owner can enter it. */
async function recordedFolder(record: string): Promise<string | undefined> {
  const folder = (await Deno.readTextFile(record).catch(() => "")).trim();
  if (!folder.startsWith(`/var/tmp/${PREFIX}`) || folder.includes("..")) return undefined;
  const info = await Deno.lstat(folder).catch(() => undefined);
  return info?.isDirectory && info.uid !== 0 && ((info.mode ?? 0) & 0o077) === 0 ? folder : undefined;
}

/** Returns an installation that `user` can use, of the npm package or of a copy in `folder`. */
async function reachableInstallation(folder: string, user: UnixUser | undefined, major: string): Promise<string> {
  return await createInstallation(await reachableBinaries(folder, user, major), folder, user);
}

/** Returns the folder of binaries that `user` can use: that of the npm package, or a copy in `folder`. */
async function reachableBinaries(folder: string, user: UnixUser | undefined, major: string): Promise<string> {
  const packaged = await locateBinaries(major, folder);
  const complete = await completeLinks(packaged).then(() => true, () => false);
  if (
    complete && (!user || (await canReach(user, `${packaged}/bin`) && await canReach(user, `${packaged}/share`)))
  ) {
    return packaged;
  }
  const version = /@(\d[^/@]*)\//.exec(packaged)?.[1] ?? "unversioned";
  const copy = `${folder}/binaries-${version}`;
  // A copy is complete when it has its final name.
  if (await Deno.stat(copy).then(() => true, () => false)) return copy;
  const draft = `${copy}.${crypto.randomUUID()}`;
  await copyBinaries(packaged, draft, user);
  await completeLinks(draft);
  await Deno.rename(draft, copy);
  return copy;
}

/**
 * Creates the location of a Postgres that is deleted with it.
 *
 * @param fallback The major version unless `POSTGRES_VERSION` names one. Default: that of the tests.
 */
export async function temporaryLocation(fallback?: string): Promise<DataLocation> {
  const user = await choosePostgresUser();
  const parents = [Deno.env.get("TMPDIR") ?? "/tmp", "/tmp", "/var/tmp"];
  const folder = await createReachable(parents, user);
  try {
    const major = requestedVersion(fallback);
    const binaries = await reachableInstallation(folder, user, major);
    return { data: `${folder}/data`, binaries, major, user, temporaryFolder: folder };
  } catch (error) {
    await Deno.remove(folder, { recursive: true });
    throw error;
  }
}

/**
 * Returns the location of a project's Postgres, the same in each run.
 *
 * @param state The state folder of the project.
 * @param version The major version of new data. Data that exists keeps its own.
 */
export async function projectLocation(state: string, version: string): Promise<DataLocation> {
  const [folder, record] = [`${state}/postgres`, `${state}/postgres.path`];
  const recorded = await recordedFolder(record);
  const user = await choosePostgresUser(recorded ?? folder);
  if (!recorded) {
    await createFolder(folder, user);
    if (!user || await canReach(user, folder)) return await locationIn(folder, user, version);
    // It is empty: that user could not write to it.
    await Deno.remove(folder);
  }
  const elsewhere = recorded ?? await createReachable(["/var/tmp"], user);
  if (!recorded) await Deno.writeTextFile(record, `${elsewhere}\n`, { mode: 0o600 });
  return await locationIn(elsewhere, user, version);
}

async function locationIn(folder: string, user: UnixUser | undefined, version: string): Promise<DataLocation> {
  const data = `${folder}/data`;
  const found = (await Deno.readTextFile(`${data}/PG_VERSION`).catch(() => "")).trim();
  const major = found || version;
  return { data, binaries: await reachableInstallation(folder, user, major), major, user, temporaryFolder: undefined };
}

/** Returns the folders with the data of a project, for a reset. */
export async function projectFolders(state: string): Promise<string[]> {
  const recorded = await recordedFolder(`${state}/postgres.path`);
  return [`${state}/postgres`, ...(recorded ? [recorded] : [])];
}
