/**
 * Where Postgres's data and programs lie.
 *
 * Data belongs into the project's own ignored folder. When root starts the
 * stack in a folder that other users cannot enter, the user that Postgres
 * runs as could not reach it there: then it goes to a folder in `/var/tmp`
 * with a random name, which the project's folder remembers.
 *
 * @module
 */
import { StackFault } from "../fault.ts";
import { completeLinks, copyBinaries, locateBinaries } from "./binaries.ts";
import { canReach, chooseOwner, type Owner } from "./owner.ts";

/** Where one Postgres lies. */
export interface Place {
  /** The data folder; `initdb` has run in it if it holds `PG_VERSION`. */
  readonly data: string;
  /** The folder that holds `bin`, `lib` and `share`. */
  readonly binaries: string;
  /** Whom it runs as. `undefined`: us. */
  readonly owner: Owner | undefined;
  /** A folder that goes when Postgres ends. `undefined`: all is kept. */
  readonly doomed: string | undefined;
}

const PREFIX = "supabase-pool-";

async function makeFolder(path: string, owner: Owner | undefined): Promise<void> {
  await Deno.mkdir(path, { recursive: true, mode: 0o700 });
  await Deno.chmod(path, 0o700);
  if (owner) await Deno.chown(path, owner.uid, owner.gid);
}

/** A new folder of `owner`'s, in the first of `parents` that they can reach. */
async function makeReachable(parents: readonly string[], owner: Owner | undefined): Promise<string> {
  for (const dir of parents) {
    const folder = await Deno.makeTempDir({ dir, prefix: PREFIX }).catch(() => undefined);
    if (folder === undefined) continue;
    await makeFolder(folder, owner);
    if (!owner || await canReach(owner, folder)) return folder;
    await Deno.remove(folder);
  }
  throw new StackFault(
    "NOT_WRITABLE",
    `Cannot make a folder for Postgres in ${parents.join(" or ")}: make one writable.`,
  );
}

/** The folder that an earlier run recorded, if it is still there and still its own. */
async function recordedFolder(record: string): Promise<string | undefined> {
  const folder = (await Deno.readTextFile(record).catch(() => "")).trim();
  if (!folder.startsWith(`/var/tmp/${PREFIX}`) || folder.includes("..")) return undefined;
  const info = await Deno.lstat(folder).catch(() => undefined);
  return info?.isDirectory && info.uid !== 0 && ((info.mode ?? 0) & 0o077) === 0 ? folder : undefined;
}

/** Binaries that `owner` can use: where npm put them, or else a copy in `folder`. */
async function reachableBinaries(folder: string, owner: Owner | undefined): Promise<string> {
  const packaged = await locateBinaries();
  const complete = await completeLinks(packaged).then(() => true, () => false);
  if (
    complete && (!owner || (await canReach(owner, `${packaged}/bin`) && await canReach(owner, `${packaged}/share`)))
  ) {
    return packaged;
  }
  const version = /@(\d[^/]*)\//.exec(packaged)?.[1] ?? "unversioned";
  const copy = `${folder}/binaries-${version}`;
  // Complete once it has its final name.
  if (await Deno.stat(copy).then(() => true, () => false)) return copy;
  const draft = `${copy}.${crypto.randomUUID()}`;
  await copyBinaries(packaged, draft);
  await completeLinks(draft);
  await Deno.rename(draft, copy);
  return copy;
}

/** A place for a Postgres that leaves nothing behind. */
export async function temporaryPlace(): Promise<Place> {
  const owner = await chooseOwner();
  const parents = [Deno.env.get("TMPDIR") ?? "/tmp", "/tmp", "/var/tmp"];
  const folder = await makeReachable(parents, owner);
  try {
    const binaries = await reachableBinaries(folder, owner);
    return { data: `${folder}/data`, binaries, owner, doomed: folder };
  } catch (error) {
    await Deno.remove(folder, { recursive: true });
    throw error;
  }
}

/**
 * The place of a project's Postgres, the same in each run.
 *
 * @param state The project's folder of state.
 */
export async function projectPlace(state: string): Promise<Place> {
  const [folder, record] = [`${state}/postgres`, `${state}/postgres.path`];
  const recorded = await recordedFolder(record);
  const owner = await chooseOwner(recorded ?? folder);
  if (!recorded) {
    await makeFolder(folder, owner);
    if (!owner || await canReach(owner, folder)) {
      return { data: `${folder}/data`, binaries: await reachableBinaries(folder, owner), owner, doomed: undefined };
    }
    // Empty: nobody could have written to it.
    await Deno.remove(folder);
  }
  const elsewhere = recorded ?? await makeReachable(["/var/tmp"], owner);
  if (!recorded) await Deno.writeTextFile(record, `${elsewhere}\n`, { mode: 0o600 });
  return {
    data: `${elsewhere}/data`,
    binaries: await reachableBinaries(elsewhere, owner),
    owner,
    doomed: undefined,
  };
}

/** The folders that hold a project's data, for a reset. */
export async function projectFolders(state: string): Promise<string[]> {
  const recorded = await recordedFolder(`${state}/postgres.path`);
  return [`${state}/postgres`, ...(recorded ? [recorded] : [])];
}
