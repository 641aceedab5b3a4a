/**
 * Removes what a killed stack may leave: a server that still uses the data, or the
 * lock file of one that has exited.
 *
 * @module
 */
import { StackError } from "../stack_error.ts";
import { commandOf } from "../processes.ts";

const END_TIMEOUT_MS = 15_000;
const POLL_MS = 100;

/**
 * Ends a server that a killed stack left running on the folder `data`, and removes
 * the lock file of a server that has exited. The caller holds the lock of the
 * project: no other stack uses the data.
 *
 * @throws {StackError} `POSTGRES_FAILED` if the server does not end.
 */
export async function removeStaleServer(data: string): Promise<void> {
  const lock = `${data}/postmaster.pid`;
  const start = Date.now();
  for (let signal: Deno.Signal = "SIGINT";;) {
    const pid = Number((await Deno.readTextFile(lock).catch(() => "")).split("\n")[0]);
    if (!Number.isInteger(pid) || pid <= 1) return;
    // Another process may have the same id by now.
    if (!(await commandOf(pid))?.includes(data)) {
      await Deno.remove(lock).catch(() => {});
      return;
    }
    const waitedMs = Date.now() - start;
    if (waitedMs > END_TIMEOUT_MS) {
      throw new StackError(
        "POSTGRES_FAILED",
        `An earlier Postgres (process ${pid}) still uses ${data} and does not end: end it with "kill -9 ${pid}".`,
      );
    }
    if (waitedMs > END_TIMEOUT_MS / 2) signal = "SIGQUIT";
    try {
      Deno.kill(pid, signal);
    } catch {
      // It has exited in the meantime.
    }
    await new Promise((resolve) => setTimeout(resolve, POLL_MS));
  }
}
