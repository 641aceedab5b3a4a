/**
 * The lines of the log about circuit breakers.
 *
 * @module
 */
import type { LogData, LogLevel } from "../../observability/mod.ts";
import type { RequestPool } from "../handler/runtime.ts";

/** Writes one line of the log. */
type WriteLine = (level: LogLevel, event: string, data: LogData) => void;

/** The pools whose circuits are logged. The handlers of an isolate share its pools: the first of them logs. */
const logged = new WeakSet<object>();

/**
 * Logs from now on when a circuit of `pool` opens (`warn`) and closes (`info`). A circuit that a failed probe opens again
 * is not logged: in an outage there is one such probe or more in a second. Does nothing for a pool that is logged already.
 */
export function logCircuits(pool: Pick<RequestPool<never>, "on">, write: WriteLine): void {
  if (!pool.on || logged.has(pool)) return;
  logged.add(pool);
  pool.on("circuitOpened", ({ target, reason, retryAfterMs }) => {
    if (reason !== "probe failed") write("warn", "circuit_opened", { target, reason, retryAfterMs });
  });
  pool.on("circuitClosed", ({ target, openMs }) => write("info", "circuit_closed", { target, openMs }));
}
