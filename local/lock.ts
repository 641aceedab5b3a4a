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
  /** Notes the address of the running stack beside the lock, for {@linkcode lockHolder}. */
  publish(url: string): Promise<void>;
}

/** The process that holds the lock of a project. */
export interface LockHolder {
  /** Its id; empty if it is not known. */
  readonly pid: string;
  /** The address of its gateway. `undefined`: it has not published one, because it is starting. */
  readonly url: string | undefined;
}

/** The address of a gateway: keys are sent there, and to no address of another machine. */
const GATEWAY = /^http:\/\/127\.0\.0\.1:\d{1,5}$/;

/** Reads what the holder of a lock has written. */
async function readHolder(path: string): Promise<LockHolder> {
  const [pid = "", url = ""] = (await Deno.readTextFile(path).catch(() => "")).split("\n");
  return { pid: pid.trim(), url: GATEWAY.test(url) ? url : undefined };
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
    const { pid } = await readHolder(path);
    throw new StackError(
      "ALREADY_RUNNING",
      `The stack of this project is running already${pid === "" ? "" : ` (process ${pid})`}: ` +
        `use it, or end it${pid === "" ? "" : ` with "kill ${pid}"`} first.`,
    );
  }
  const write = async (text: string) => {
    const bytes = new TextEncoder().encode(text);
    await file.seek(0, Deno.SeekMode.Start);
    await file.write(bytes);
    // Last, so that a reader never finds the file empty.
    await file.truncate(bytes.length);
  };
  await write(`${Deno.pid}\n`);
  const locked = await file.stat();
  return {
    async check() {
      const found = await Deno.stat(path).catch(() => undefined);
      if (found?.ino === locked.ino && found.dev === locked.dev) return;
      throw new StackError("STATE_LOST", `${state} was deleted while the stack was running: start it again.`);
    },
    publish: (url) => write(`${Deno.pid}\n${url}\n`),
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

/**
 * Returns the process that holds the lock of a project; `undefined` if none does.
 *
 * @param state The state folder of the project.
 */
export async function lockHolder(state: string): Promise<LockHolder | undefined> {
  try {
    await requireUnlocked(state);
    return undefined;
  } catch (error) {
    if (error instanceof StackError && error.code === "ALREADY_RUNNING") return await readHolder(`${state}/stack.lock`);
    throw error;
  }
}
