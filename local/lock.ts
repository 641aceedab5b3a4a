/**
 * The lock that allows one stack per project.
 *
 * @module
 */
import { StackError } from "./stack_error.ts";

/** The lock of a project. */
export interface ProjectLock extends Disposable {
  /**
   * Checks that the state folder still contains the locked file: if it was deleted, another stack may use the folder.
   *
   * @throws {StackError} `STATE_LOST`.
   */
  check(): Promise<void>;
}

/**
 * Locks the project for this process. The operating system releases the lock
 * when the process ends, also when it is killed.
 *
 * @param state The state folder of the project.
 * @throws {StackError} `ALREADY_RUNNING`, with the id of the process that holds the lock.
 */
export async function lockProject(state: string): Promise<ProjectLock> {
  const path = `${state}/stack.lock`;
  const file = await Deno.open(path, { create: true, read: true, write: true, mode: 0o600 });
  if (!(await file.tryLock(true))) {
    file.close();
    const pid = (await Deno.readTextFile(path).catch(() => "")).trim();
    throw new StackError(
      "ALREADY_RUNNING",
      `The stack of this project is running already${pid === "" ? "" : ` (process ${pid})`}: ` +
        `use it, or end it${pid === "" ? "" : ` with "kill ${pid}"`} first.`,
    );
  }
  await file.truncate();
  await file.write(new TextEncoder().encode(`${Deno.pid}\n`));
  const locked = await file.stat();
  return {
    async check() {
      const found = await Deno.stat(path).catch(() => undefined);
      if (found?.ino === locked.ino && found.dev === locked.dev) return;
      throw new StackError("STATE_LOST", `${state} was deleted while the stack was running: start it again.`);
    },
    [Symbol.dispose]: () => file.close(),
  };
}

/**
 * Checks that no stack of the project is running. A state folder that does not exist yet has none.
 *
 * @param state The state folder of the project.
 * @throws {StackError} `ALREADY_RUNNING`, with the id of the process that holds the lock.
 */
export async function requireUnlocked(state: string): Promise<void> {
  const locked = await Deno.stat(`${state}/stack.lock`).then((info) => info.isFile, () => false);
  if (locked) (await lockProject(state))[Symbol.dispose]();
}
