/**
 * One stack per project.
 *
 * @module
 */
import { StackFault } from "./fault.ts";

/**
 * Takes the project for this process. The system itself holds the lock and
 * lets go of it when the process ends, however that happens: a killed run
 * leaves none.
 *
 * @param state The project's folder of state.
 * @throws {StackFault} `ALREADY_RUNNING`, with the id of the process that has it.
 */
export async function lockProject(state: string): Promise<Disposable> {
  const path = `${state}/stack.lock`;
  const file = await Deno.open(path, { create: true, read: true, write: true, mode: 0o600 });
  if (!(await file.tryLock(true))) {
    file.close();
    const pid = (await Deno.readTextFile(path).catch(() => "")).trim();
    throw new StackFault(
      "ALREADY_RUNNING",
      `The stack of this project is running already${pid === "" ? "" : ` (process ${pid})`}: ` +
        `use it, or end it${pid === "" ? "" : ` with "kill ${pid}"`} first.`,
    );
  }
  await file.truncate();
  await file.write(new TextEncoder().encode(`${Deno.pid}\n`));
  return { [Symbol.dispose]: () => file.close() };
}
