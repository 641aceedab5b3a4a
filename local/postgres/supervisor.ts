/**
 * Restarts Postgres when it exits without having been stopped.
 *
 * @module
 */
import { messageOf } from "../../shared/resilience/mod.ts";
import { StackError } from "../stack_error.ts";

/** A server that is kept running. */
export interface Supervised {
  /** Called when it exits without having been stopped. */
  onLost: (() => void) | undefined;
  /** `true` after the process exited by itself, until it is started or stopped. */
  readonly lost: boolean;
  /** Restarts it, unless it has been stopped. */
  revive(): Promise<void>;
}

/** Options for {@linkcode supervise}. */
export interface SupervisorOptions {
  /** Called with one line for each exit and each restart. */
  readonly log: (line: string) => void;
  /** Called once, after the last attempt to restart it. */
  readonly onGiveUp: (error: StackError) => void;
  /** The delay before each attempt, in ms; its length is the number of attempts. Default: 0, 250, 1,000, 2,000, 4,000. */
  readonly delaysMs?: readonly number[];
  /** Running time after which the count of attempts is reset, in ms. Default: 30,000. */
  readonly steadyMs?: number;
}

const DELAYS_MS = [0, 250, 1_000, 2_000, 4_000];
const STEADY_MS = 30_000;

/** Keeps `server` running until the result is disposed of, which waits for a running attempt. */
export function supervise(server: Supervised, options: SupervisorOptions): AsyncDisposable {
  const { log, onGiveUp, delaysMs = DELAYS_MS, steadyMs = STEADY_MS } = options;
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
        return onGiveUp(
          new StackError(
            "POSTGRES_FAILED",
            `Postgres exited, and ${delaysMs.length} attempts did not keep it running. ${
              reason ?? "It exited each time: read its output above, then start again."
            }`,
          ),
        );
      }
      await pause(delayMs);
      if (closing.signal.aborted) return;
      try {
        await server.revive();
        startedAt = performance.now();
        return log("running again");
      } catch (error) {
        if (closing.signal.aborted) return;
        if (error instanceof StackError && error.code === "STATE_LOST") return onGiveUp(error);
        // The same reason is logged once.
        if (reason !== messageOf(error)) log(reason = messageOf(error));
      }
    }
  };

  server.onLost = () => {
    if (closing.signal.aborted || reviving) return;
    log("exited unexpectedly, restarting");
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
