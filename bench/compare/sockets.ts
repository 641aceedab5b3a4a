/**
 * The sockets of this process.
 *
 * @module
 */

/** The state of an established connection in `/proc/net/tcp`. */
const ESTABLISHED = "01";

/** Returns the inodes of established connections to `port`, from the text of `/proc/net/tcp` (proc(5)). */
export function inodesOf(table: string, port: number): Set<string> {
  const remote = `:${port.toString(16).toUpperCase().padStart(4, "0")}`;
  const inodes = new Set<string>();
  for (const line of table.split("\n").slice(1)) {
    const [, , address, state, , , , , , inode] = line.trim().split(/\s+/);
    if (address?.endsWith(remote) && state === ESTABLISHED && inode !== undefined) inodes.add(inode);
  }
  return inodes;
}

/** Counts the connections of this process to `port`; `NaN` except on Linux. */
export function countSockets(port: number): number {
  if (Deno.build.os !== "linux") return NaN;
  const inodes = inodesOf(Deno.readTextFileSync("/proc/self/net/tcp"), port);
  let count = 0;
  for (const { name } of Deno.readDirSync("/proc/self/fd")) {
    try {
      const inode = /^socket:\[(\d+)\]$/.exec(Deno.readLinkSync(`/proc/self/fd/${name}`))?.[1];
      if (inode !== undefined && inodes.has(inode)) count++;
    } catch (error) {
      // It was closed after the folder was read.
      if (!(error instanceof Deno.errors.NotFound)) throw error;
    }
  }
  return count;
}
