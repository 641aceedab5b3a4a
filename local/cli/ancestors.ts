/**
 * Noticing that whoever started us has gone.
 *
 * `npx deno task dev` is a chain of processes (npm, a shell, a launcher, Deno,
 * Deno again), and not each of them passes a signal on, least of all one that
 * is killed. When one link is gone, so is the person's way to end us.
 *
 * @module
 */
import { type ProcessInfo, processInfo } from "../processes.ts";

const POLL_MS = 500;
const LAUNCHER = /\b(?:npm|npx|pnpm|yarn|bun|deno)\b/;

/** A link of the chain. */
interface Link {
  readonly pid: number;
  readonly parent: number;
}

/**
 * The processes that only exist to run us, nearest first: those above `pid`
 * whose command line names a launcher.
 *
 * @param look How to look at a process.
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

/** Calls `onGone` once when a launcher of this process has gone. Does not keep the process alive. */
export async function watchLaunchers(onGone: () => void): Promise<Disposable> {
  const chain = await launchers(Deno.pid);
  const timer = setInterval(async () => {
    // A process whose parent has gone gets another one, so that one look at each link shows both.
    const alive = await Promise.all(chain.map(async ({ pid, parent }) => (await processInfo(pid))?.parent === parent));
    // The outermost link may well lose its own parent: a script that was put into the background.
    const last = chain.at(-1);
    const broken = alive.some((same, index) => !same && chain[index] !== last) ||
      (last !== undefined && !(await processInfo(last.pid)));
    if (broken) {
      clearInterval(timer);
      onGone();
    }
  }, POLL_MS);
  Deno.unrefTimer(timer);
  return { [Symbol.dispose]: () => clearInterval(timer) };
}
