/**
 * Information about other processes of this machine.
 *
 * @module
 */

/** A process as the system lists it. */
export interface ProcessInfo {
  /** Its parent's id. */
  readonly parent: number;
  /** Its command line. */
  readonly command: string;
}

/** Returns information about process `pid`; `undefined` if it does not exist. */
export async function processInfo(pid: number): Promise<ProcessInfo | undefined> {
  if (Deno.build.os === "linux") {
    try {
      const [stat, command] = await Promise.all([
        Deno.readTextFile(`/proc/${pid}/stat`),
        Deno.readTextFile(`/proc/${pid}/cmdline`),
      ]);
      // The name, in parentheses, may contain spaces and parentheses.
      const fields = stat.slice(stat.lastIndexOf(")") + 2).split(" ");
      if (fields[0] === "Z") return undefined;
      return { parent: Number(fields[1]), command: command.replaceAll("\0", " ").trim() };
    } catch {
      return undefined;
    }
  }
  const ps = new Deno.Command("ps", { args: ["-o", "ppid=,command=", "-p", String(pid)], stderr: "null" });
  const { success, stdout } = await ps.output();
  const match = /^\s*(\d+)\s+(.*)$/.exec(new TextDecoder().decode(stdout).trim());
  return success && match ? { parent: Number(match[1]), command: match[2] ?? "" } : undefined;
}

/** Returns the command line of process `pid`; `undefined` if it does not exist. */
export async function commandOf(pid: number): Promise<string | undefined> {
  return (await processInfo(pid))?.command;
}

/** Returns the ids of the processes that `pid` has started, and of those that these have started. */
export async function descendantsOf(pid: number): Promise<number[]> {
  const children = Map.groupBy(await listProcesses(), ({ parent }) => parent);
  const found: number[] = [];
  for (let parents = [pid]; parents.length > 0;) {
    parents = parents.flatMap((parent) => (children.get(parent) ?? []).map(({ pid }) => pid));
    found.push(...parents);
  }
  return found;
}

/** Returns the ids of all processes, with those of their parents. */
async function listProcesses(): Promise<{ pid: number; parent: number }[]> {
  if (Deno.build.os === "linux") {
    const names = (await Array.fromAsync(Deno.readDir("/proc"))).map(({ name }) => name);
    return await Promise.all(
      names.filter((name) => /^\d+$/.test(name)).map(async (name) => ({
        pid: Number(name),
        parent: (await processInfo(Number(name)))?.parent ?? 0,
      })),
    );
  }
  const { stdout } = await new Deno.Command("ps", { args: ["-A", "-o", "pid=,ppid="], stderr: "null" }).output();
  return new TextDecoder().decode(stdout).trim().split("\n").map((line) => {
    const [pid, parent] = line.trim().split(/\s+/).map(Number);
    return { pid: pid ?? 0, parent: parent ?? 0 };
  });
}
