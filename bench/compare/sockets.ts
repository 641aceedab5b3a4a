/**
 * The sockets of this process.
 *
 * @module
 */

/** The state of an established connection in `/proc/net/tcp`. */
const ESTABLISHED = "01";

/** The inodes of connections to `port` of this machine, as `/proc/net/tcp` (proc(5)) lists them. */
export function inodesOf(table: string, port: number): Set<string> {
  const remote = `:${port.toString(16).toUpperCase().padStart(4, "0")}`;
  const inodes = new Set<string>();
  for (const line of table.split("\n").slice(1)) {
    const [, , address, state, , , , , , inode] = line.trim().split(/\s+/);
    if (address?.endsWith(remote) && state === ESTABLISHED && inode !== undefined) inodes.add(inode);
  }
  return inodes;
}

/** How many connections to `port` this process has; `NaN` where the system does not tell. */
export function countSockets(port: number): number {
  if (Deno.build.os !== "linux") return NaN;
  const inodes = inodesOf(Deno.readTextFileSync("/proc/self/net/tcp"), port);
  let count = 0;
  for (const { name } of Deno.readDirSync("/proc/self/fd")) {
    try {
      const inode = /^socket:\[(\d+)\]$/.exec(Deno.readLinkSync(`/proc/self/fd/${name}`))?.[1];
      if (inode !== undefined && inodes.has(inode)) count++;
    } catch (error) {
      // Closed since the folder was read.
      if (!(error instanceof Deno.errors.NotFound)) throw error;
    }
  }
  return count;
}
