/**
 * The resources that processes use, from `/proc` (proc(5)). Linux only.
 *
 * @module
 */

/** The resources that a process uses. */
export interface ProcessUsage {
  /** Open file descriptors. */
  readonly descriptors: number;
  /** Open file descriptors that are sockets. */
  readonly sockets: number;
  /** Resident memory, in MB (2^20 bytes). */
  readonly residentMb: number;
}

const NONE: ProcessUsage = { descriptors: 0, sockets: 0, residentMb: 0 };

function linkOf(path: string): string {
  try {
    return Deno.readLinkSync(path);
  } catch {
    // It was closed after the folder was read.
    return "";
  }
}

/**
 * Returns what a process uses; nothing after it has exited.
 *
 * @param pid Its id. Default: this process.
 */
export function usageOf(pid: number | "self" = "self"): ProcessUsage {
  try {
    const links = [...Deno.readDirSync(`/proc/${pid}/fd`)].map(({ name }) => linkOf(`/proc/${pid}/fd/${name}`));
    const status = Deno.readTextFileSync(`/proc/${pid}/status`);
    return {
      descriptors: links.length,
      sockets: links.filter((link) => link.startsWith("socket:")).length,
      residentMb: Number(/^VmRSS:\s*(\d+) kB$/m.exec(status)?.[1] ?? 0) / 1_024,
    };
  } catch (error) {
    if (error instanceof Deno.errors.NotFound) return NONE;
    throw error;
  }
}

/** A process below another one. */
export interface Descendant {
  readonly pid: number;
  /** Its command line, separated by spaces. */
  readonly command: string;
}

/** Returns the ids of the parents of all processes. */
function parents(): Map<number, number> {
  const found = new Map<number, number>();
  for (const { name } of Deno.readDirSync("/proc")) {
    if (!/^\d+$/.test(name)) continue;
    try {
      const stat = Deno.readTextFileSync(`/proc/${name}/stat`);
      // The name, in parentheses, may contain spaces and parentheses.
      const [, parent] = stat.slice(stat.lastIndexOf(")") + 2).split(" ");
      found.set(Number(name), Number(parent));
    } catch {
      // It has exited.
    }
  }
  return found;
}

/** Returns the processes below this one. */
export function descendants(root: number = Deno.pid): Descendant[] {
  const all = parents();
  const pids = [root];
  for (const pid of pids) for (const [child, parent] of all) if (parent === pid) pids.push(child);
  return pids.slice(1).flatMap((pid) => {
    try {
      const command = Deno.readTextFileSync(`/proc/${pid}/cmdline`).replaceAll("\0", " ").trim();
      return command === "" ? [] : [{ pid, command }];
    } catch {
      return [];
    }
  });
}
