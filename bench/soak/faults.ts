/**
 * The faults of a soak.
 *
 * @module
 */
import type { PostgresConnectionManager } from "../../shared/postgres/mod.ts";
import type { Stack } from "../../local/mod.ts";
import type { FaultyProxy } from "./faulty_proxy.ts";
import { descendants } from "./process_usage.ts";

/** The parts of the soak that faults strike. */
export interface Struck {
  readonly stack: Stack;
  /** The proxy between the client pool and the stack. */
  readonly proxy: FaultyProxy;
  /** A connection of the role `postgres`, which may end the connections of others. */
  readonly observer: PostgresConnectionManager;
}

/** A fault. It resolves when it is over. */
export interface Fault {
  /** Its effect, for the results: `killed Data API`. */
  readonly what: string;
  strike(struck: Struck): Promise<void>;
}

/** The delay of a slow Data API, in each direction, in ms. */
const SLOW_MS = 400;

/** The time for the Data API to come back, in ms. A busy machine starts it in seconds. */
const SERVED_MS = 120_000;

/** The length of the faults that last, in ms. */
const LASTING_MS = 1_500;

const pause = (ms: number) => new Promise<void>((resolve) => setTimeout(resolve, ms));

/** Waits until the gateway serves the Data API again. */
async function untilServed({ stack }: Struck): Promise<void> {
  for (const start = performance.now(); performance.now() - start < SERVED_MS;) {
    const headers = { apikey: stack.publishableKey };
    const response = await fetch(`${stack.restUrl}/budgets?select=id&limit=1`, { headers }).catch(() => undefined);
    await response?.body?.cancel();
    if (response && response.status < 500) return;
    await pause(100);
  }
  throw new Error(`The Data API did not come back within ${SERVED_MS / 1_000} s`);
}

/** All faults. */
export const FAULTS: readonly Fault[] = [
  {
    what: "killed backends, half of all",
    async strike({ observer }) {
      await observer.query(`select pg_terminate_backend(pid) from pg_stat_activity
        where backend_type = 'client backend' and pid <> pg_backend_pid() and usename in ('authenticator', 'postgres')
        and random() < 0.5`);
    },
  },
  {
    what: "slow Data API",
    async strike({ proxy }) {
      proxy.delayMs = SLOW_MS;
      await pause(LASTING_MS);
      proxy.delayMs = 0;
    },
  },
  {
    what: "stalled Data API",
    async strike({ proxy }) {
      proxy.stall();
      await pause(LASTING_MS);
      proxy.resume();
    },
  },
  {
    what: "broken responses",
    strike({ proxy }) {
      proxy.breakResponses();
      return Promise.resolve();
    },
  },
  {
    what: "killed Data API",
    async strike(struck) {
      const killed = descendants().filter(({ command }) =>
        command.includes("data_api/main.ts") && !/(^|\/)sh /.test(command)
      );
      if (killed.length === 0) throw new Error("Cannot kill the Data API: no process below this one runs it");
      for (const { pid } of killed) Deno.kill(pid, "SIGKILL");
      await untilServed(struck);
    },
  },
  {
    what: "killed database",
    async strike(struck) {
      await struck.stack.database.kill();
      // The stack restarts a database that crashed, but not one that it was asked to end.
      await struck.stack.database.start();
      await untilServed(struck);
    },
  },
  {
    what: "reloaded function",
    async strike({ stack }) {
      await stack.functions.reload("budgets");
    },
  },
];
