/**
 * What a killed run may leave: a server that still runs on our data, or the
 * lock file of one that no longer does.
 *
 * @module
 */
import { StackFault } from "../fault.ts";
import { commandOf } from "../processes.ts";

const PATIENCE_MS = 15_000;
const POLL_MS = 100;

/**
 * Ends a server that a killed run left on the data folder `data`, and removes
 * the lock file of one that has gone. The caller owns the data: no other run
 * of the stack uses it.
 *
 * @throws {StackFault} `POSTGRES_FAILED` if the server will not end.
 */
export async function removeStaleServer(data: string): Promise<void> {
  const lock = `${data}/postmaster.pid`;
  const start = Date.now();
  for (let signal: Deno.Signal = "SIGINT";;) {
    const pid = Number((await Deno.readTextFile(lock).catch(() => "")).split("\n")[0]);
    if (!Number.isInteger(pid) || pid <= 1) return;
    // A process of that number which is not this server only reuses the number.
    if (!(await commandOf(pid))?.includes(data)) {
      await Deno.remove(lock).catch(() => {});
      return;
    }
    const waitedMs = Date.now() - start;
    if (waitedMs > PATIENCE_MS) {
      throw new StackFault(
        "POSTGRES_FAILED",
        `An earlier Postgres (process ${pid}) still runs on ${data} and does not end: end it with "kill -9 ${pid}".`,
      );
    }
    if (waitedMs > PATIENCE_MS / 2) signal = "SIGQUIT";
    try {
      Deno.kill(pid, signal);
    } catch {
      // It went in between.
    }
    await new Promise((resolve) => setTimeout(resolve, POLL_MS));
  }
}
