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
