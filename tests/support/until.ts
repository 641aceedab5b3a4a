/**
 * Waits for what happens in another process or at a server.
 *
 * @module
 */

/**
 * Waits until something is so. Resolves with how long it took, in ms.
 *
 * @param withinMs The limit. Its default of 30,000 is long: a loaded machine may stop a process for seconds.
 * @throws {Error} that says `what` was not so within the limit.
 */
export async function until(
  what: string,
  ready: () => boolean | Promise<boolean>,
  withinMs = 30_000,
  everyMs = 2,
): Promise<number> {
  const start = performance.now();
  while (!await ready()) {
    if (performance.now() - start > withinMs) throw new Error(`not within ${withinMs} ms: ${what}`);
    await new Promise((resolve) => setTimeout(resolve, everyMs));
  }
  return performance.now() - start;
}
