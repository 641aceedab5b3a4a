/**
 * The globals of the hosted runtime: `EdgeRuntime`, `Supabase`, and the parts of
 * `Deno` that behave otherwise there.
 *
 * @module
 */

/** The reasons that `beforeunload` gives in `event.detail.reason`. */
export type UnloadReason = "cpu" | "memory" | "wall_clock" | "early_drop" | "termination";

/** Work that continues after a response. */
export class Background {
  readonly #pending = new Set<Promise<unknown>>();

  /** Adds `promise`, and returns it. A value that is not a promise is ignored, as on the hosted runtime. */
  add<T>(promise: T): T {
    if (promise instanceof Promise) {
      const settled: Promise<unknown> = promise.catch(() => {}).finally(() => this.#pending.delete(settled));
      this.#pending.add(settled);
    }
    return promise;
  }

  /** Waits until all work has settled, for at most `ms`. */
  async settle(ms: number): Promise<void> {
    const deadline = Date.now() + ms;
    // Work may add more work.
    while (this.#pending.size > 0 && Date.now() < deadline) {
      const late = new Promise((resolve) => setTimeout(resolve, deadline - Date.now()));
      await Promise.race([Promise.all(this.#pending), late]);
    }
  }
}

/** Dispatches `beforeunload`. */
export function dispatchBeforeUnload(reason: UnloadReason): void {
  globalThis.dispatchEvent(new CustomEvent("beforeunload", { cancelable: true, detail: { reason } }));
}

/** The error of a part of the platform that the local stack does not have. */
function notLocal(what: string): Error {
  const error = new Error(
    `${what} is not part of the local stack: call a hosted model, or test it on a hosted project`,
  );
  error.name = "NotSupported";
  return error;
}

/**
 * Defines the globals.
 *
 * @param onExit Called when the function ends its process with `Deno.exit`.
 */
export function installGlobals(background: Background, onExit: (code: number) => void): void {
  const edgeRuntime = { waitUntil: <T>(promise: T): T => background.add(promise) };
  const supabase = {
    ai: {
      Session: class {
        constructor() {
          throw notLocal("Supabase.ai");
        }
      },
    },
  };
  Object.defineProperties(globalThis, {
    EdgeRuntime: { get: () => edgeRuntime, configurable: true },
    Supabase: { get: () => supabase, configurable: true },
  });
  const exit = Deno.exit;
  Object.defineProperty(Deno, "exit", {
    value: (code = 0): never => {
      onExit(code);
      return exit(code);
    },
    configurable: true,
    enumerable: true,
    writable: true,
  });
}
