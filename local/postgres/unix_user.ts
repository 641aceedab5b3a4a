/**
 * The user that Postgres runs as. Postgres does not run as root, so root runs it as
 * an existing user with few rights.
 *
 * @module
 */
import { spawn } from "node:child_process";
import { StackError } from "../stack_error.ts";

/** A user of this machine. */
export interface UnixUser {
  /** The user id. */
  readonly uid: number;
  /** The group id. */
  readonly gid: number;
}

const CANDIDATES = ["postgres", "nobody"];

/** Returns the unprivileged users of a password file that Postgres can run as, best first. */
export function findCandidates(passwd: string): UnixUser[] {
  const users = passwd.split("\n").map((line) => line.split(":"));
  return CANDIDATES.flatMap((name) => {
    const fields = users.find(([user]) => user === name);
    const [uid, gid] = [Number(fields?.[2] || NaN), Number(fields?.[3] || NaN)];
    // The ids of "nobody" are -2 on macOS.
    return Number.isInteger(uid) && Number.isInteger(gid) && uid !== 0 ? [{ uid: uid >>> 0, gid: gid >>> 0 }] : [];
  });
}

/**
 * Returns the user to run Postgres as. As root: the owner of the data, or an
 * unprivileged user. Otherwise `undefined`, the current user.
 *
 * @param data The data folder of an earlier run. Default: there is none.
 * @throws {StackError} `PLATFORM_UNSUPPORTED` if root finds no such user.
 */
export async function choosePostgresUser(data?: string): Promise<UnixUser | undefined> {
  if (Deno.uid() !== 0) return undefined;
  if (data !== undefined) {
    const { uid, gid } = await Deno.stat(data).catch(() => ({ uid: null, gid: null }));
    if (uid !== null && uid !== 0 && gid !== null) return { uid, gid };
  }
  const [user] = findCandidates(await Deno.readTextFile("/etc/passwd").catch(() => ""));
  if (!user) {
    throw new StackError(
      "PLATFORM_UNSUPPORTED",
      'Cannot run Postgres as root, and the users "postgres" and "nobody" are missing: run this as an ordinary user.',
    );
  }
  return user;
}

/** Returns whether `user` can enter and read the folder `path`. */
export function canReach(user: UnixUser, path: string): Promise<boolean> {
  const probe = spawn("/bin/sh", ["-c", 'test -x "$1" && test -r "$1"', "probe", path], {
    uid: user.uid,
    gid: user.gid,
    cwd: "/",
    stdio: "ignore",
  });
  return new Promise((resolve) => {
    probe.once("error", () => resolve(false));
    probe.once("exit", (status) => resolve(status === 0));
  });
}
