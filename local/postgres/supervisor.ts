/**
 * Starts Postgres again when it ends without having been told to.
 *
 * @module
 */
import { messageOf, StackFault } from "../fault.ts";

/** What is kept running. */
export interface Supervised {
  /** Called when it ends although nobody stopped it. */
  onLost: (() => void) | undefined;
  /** Whether it ended that way and nobody has started or stopped it since. */
  readonly lost: boolean;
  /** Starts it again, unless somebody has stopped it since. */
  revive(): Promise<void>;
}

/** How it is kept running. */
export interface SupervisorOptions {
  /** Told in one line of each loss, and of each return. */
  readonly log: (line: string) => void;
  /** Told once that it is given up. */
  readonly onGivenUp: (fault: StackFault) => void;
  /** How long to wait before each attempt, in ms; there are as many attempts. Default: 0, 250, 1,000, 2,000, 4,000. */
  readonly delaysMs?: readonly number[];
  /** How long it must have run for the attempts to be counted anew, in ms. Default: 30,000. */
  readonly steadyMs?: number;
}

const DELAYS_MS = [0, 250, 1_000, 2_000, 4_000];
const STEADY_MS = 30_000;

/** Keeps `server` running until the result is disposed of, which waits for an attempt that is under way. */
export function supervise(server: Supervised, options: SupervisorOptions): AsyncDisposable {
  const { log, onGivenUp, delaysMs = DELAYS_MS, steadyMs = STEADY_MS } = options;
  const closing = new AbortController();
  let attempts = 0;
  let startedAt = -Infinity;
  let reviving: Promise<void> | undefined;
  let reason: string | undefined;

  const pause = (ms: number) =>
    new Promise<void>((resolve) => {
      const timer = setTimeout(resolve, ms);
      closing.signal.addEventListener("abort", () => {
        clearTimeout(timer);
        resolve();
      }, { once: true });
    });

  const revive = async () => {
    if (performance.now() - startedAt > steadyMs) {
      attempts = 0;
      reason = undefined;
    }
    for (;;) {
      const delayMs = delaysMs[attempts++];
      if (delayMs === undefined) {
        return onGivenUp(
          new StackFault(
            "POSTGRES_FAILED",
            `Postgres ended, and ${delaysMs.length} attempts did not keep it running. ${
              reason ?? "It ended again and again: look at what it says above, then start again."
            }`,
          ),
        );
      }
      await pause(delayMs);
      if (closing.signal.aborted) return;
      try {
        await server.revive();
        startedAt = performance.now();
        return log("runs again");
      } catch (error) {
        if (closing.signal.aborted) return;
        // The same reason again is no news.
        if (reason !== messageOf(error)) log(reason = messageOf(error));
      }
    }
  };

  server.onLost = () => {
    if (closing.signal.aborted || reviving) return;
    log("ended unexpectedly, is started again");
    reviving = revive().finally(() => reviving = undefined);
  };
  if (server.lost) server.onLost();
  return {
    async [Symbol.asyncDispose]() {
      closing.abort();
      server.onLost = undefined;
      await reviving;
    },
  };
}
