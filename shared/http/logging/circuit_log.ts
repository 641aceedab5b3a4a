/**
 * The lines of the log about the circuit breakers and the limit of a pool.
 *
 * @module
 */
import type { LogData, LogLevel } from "../../observability/log/mod.ts";
import type { RequestPool } from "../handler/runtime.ts";

/** Writes one line of the log. */
type WriteLine = (level: LogLevel, event: string, data: LogData) => void;

/** The pools that are logged. The handlers of an isolate share its pools: the first of them logs. */
const logged = new WeakSet<object>();

/**
 * Logs from now on when a circuit of `pool` opens (`warn`) and closes (`info`). A circuit that a failed probe opens again
 * is not logged: in an outage there is one such probe or more in a second. In a dry run of the adaptive limit, each limit
 * that it would try is logged once (`info`). Does nothing for a pool that is logged already.
 */
export function logPool(pool: Pick<RequestPool<never>, "on">, write: WriteLine): void {
  if (!pool.on || logged.has(pool)) return;
  logged.add(pool);
  pool.on("circuitOpened", ({ target, reason, retryAfterMs }) => {
    if (reason !== "probe failed") write("warn", "circuit_opened", { target, reason, retryAfterMs });
  });
  pool.on("circuitClosed", ({ target, openMs }) => write("info", "circuit_closed", { target, openMs }));
  const limits = new Set<number>();
  pool.on("limitChanged", ({ limit, before, applied }) => {
    if (applied || limits.has(limit)) return;
    limits.add(limit);
    write("info", "limit_not_applied", { limit, before });
  });
}
