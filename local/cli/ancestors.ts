/**
 * Detects that the processes which started this one have exited.
 *
 * `npx deno task dev` is a chain of processes (npm, a shell, a launcher, Deno,
 * Deno again). Not every link forwards signals, and one that is killed cannot.
 * When a link has exited, the user can no longer stop this process through it.
 *
 * @module
 */
import { type ProcessInfo, processInfo } from "../processes.ts";

const POLL_MS = 500;
const LAUNCHER = /\b(?:npm|npx|pnpm|yarn|bun|deno)\b/;

/** A process of the chain. */
interface Link {
  readonly pid: number;
  readonly parent: number;
}

/**
 * Returns the processes that only run this one, nearest first: the ancestors of
 * `pid` whose command line names a launcher.
 *
 * @param look Returns information about a process.
 */
export async function launchers(
  pid: number,
  look: (pid: number) => Promise<ProcessInfo | undefined> = processInfo,
): Promise<Link[]> {
  const chain: Link[] = [];
  for (let info = await look(pid); info && info.parent > 1;) {
    const parent = info.parent;
    info = await look(parent);
    if (!info || !LAUNCHER.test(info.command)) break;
    chain.push({ pid: parent, parent: info.parent });
  }
  return chain;
}

/** Calls `onExit` once when a launcher of this process has exited. Does not keep the process alive. */
export async function watchLaunchers(onExit: () => void): Promise<Disposable> {
  const chain = await launchers(Deno.pid);
  const timer = setInterval(async () => {
    // A process whose parent has exited gets another parent: looking at each link once detects both.
    const alive = await Promise.all(chain.map(async ({ pid, parent }) => (await processInfo(pid))?.parent === parent));
    // The outermost link may lose its own parent: a script that runs in the background.
    const last = chain.at(-1);
    const broken = alive.some((same, index) => !same && chain[index] !== last) ||
      (last !== undefined && !(await processInfo(last.pid)));
    if (broken) {
      clearInterval(timer);
      onExit();
    }
  }, POLL_MS);
  Deno.unrefTimer(timer);
  return { [Symbol.dispose]: () => clearInterval(timer) };
}
