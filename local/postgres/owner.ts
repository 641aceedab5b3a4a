/**
 * The user that Postgres runs as. Postgres refuses to run as root, so root
 * lends it to a user that is there already and may do little.
 *
 * @module
 */
import { spawn } from "node:child_process";
import { StackFault } from "../fault.ts";

/** A user of this machine. */
export interface Owner {
  /** User id. */
  readonly uid: number;
  /** Group id. */
  readonly gid: number;
}

const CANDIDATES = ["postgres", "nobody"];

/** The unprivileged users of a password file that Postgres could run as, best first. */
export function findCandidates(passwd: string): Owner[] {
  const users = passwd.split("\n").map((line) => line.split(":"));
  return CANDIDATES.flatMap((name) => {
    const fields = users.find(([user]) => user === name);
    const [uid, gid] = [Number(fields?.[2] || NaN), Number(fields?.[3] || NaN)];
    // macOS writes nobody as -2.
    return Number.isInteger(uid) && Number.isInteger(gid) && uid !== 0 ? [{ uid: uid >>> 0, gid: gid >>> 0 }] : [];
  });
}

/**
 * Whom to run Postgres as: nobody in particular (`undefined`) unless we are
 * root; then the owner of the data, or an unprivileged user.
 *
 * @param data The data folder of an earlier run, if there may be one.
 * @throws {StackFault} `PLATFORM_UNSUPPORTED` if root has nobody to lend it to.
 */
export async function chooseOwner(data?: string): Promise<Owner | undefined> {
  if (Deno.uid() !== 0) return undefined;
  if (data !== undefined) {
    const { uid, gid } = await Deno.stat(data).catch(() => ({ uid: null, gid: null }));
    if (uid !== null && uid !== 0 && gid !== null) return { uid, gid };
  }
  const [owner] = findCandidates(await Deno.readTextFile("/etc/passwd").catch(() => ""));
  if (!owner) {
    throw new StackFault(
      "PLATFORM_UNSUPPORTED",
      "Postgres does not run as root, and there is no user postgres or nobody to run it as: run this as an ordinary user.",
    );
  }
  return owner;
}

/** Whether `owner` can enter the folder `path` and read it. */
export function canReach(owner: Owner, path: string): Promise<boolean> {
  const probe = spawn("/bin/sh", ["-c", 'test -x "$1" && test -r "$1"', "probe", path], {
    uid: owner.uid,
    gid: owner.gid,
    cwd: "/",
    stdio: "ignore",
  });
  return new Promise((resolve) => {
    probe.once("error", () => resolve(false));
    probe.once("exit", (status) => resolve(status === 0));
  });
}
