/**
 * The functions of `jsr:@std/async` that this project uses, for machines that
 * reach the npm registry only. `deno.json` links this package in place of the
 * real one; a deployment takes the real one, as `import_map.json` names it.
 *
 * @module
 */
import { setTimeout as sleep } from "node:timers/promises";

/** Options of {@linkcode delay}. */
export interface DelayOptions {
  /** Rejects the delay with its reason when it aborts. */
  signal?: AbortSignal;
  /** Whether the wait keeps the process alive. Default: `true`. */
  persistent?: boolean;
}

/**
 * Resolves after `ms` milliseconds.
 *
 * @throws the reason of `options.signal`, when it aborts first.
 */
export async function delay(ms: number, options: DelayOptions = {}): Promise<void> {
  const { signal, persistent = true } = options;
  signal?.throwIfAborted();
  try {
    await sleep(ms, undefined, { ref: persistent, ...(signal ? { signal } : {}) });
  } catch (error) {
    signal?.throwIfAborted();
    throw error;
  }
}
