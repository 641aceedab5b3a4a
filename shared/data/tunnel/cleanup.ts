/**
 * The end of a manager and its tunnel, in order.
 *
 * @module
 */
import { SSHTunnel } from "./ssh_tunnel.ts";

/** The part of a manager that a cleanup uses. */
export interface ShutsDown {
  /** Shuts down; see `PostgresConnectionManager.shutdown`. */
  shutdown(deadlineMs?: number): Promise<void>;
}

/** The time for which running work may go on, in ms. */
const DRAIN_MS = 5_000;

/**
 * Shuts a manager down and ends the tunnel of this isolate, in order: new work is rejected, running work has `deadlineMs` to
 * end, then its leases are aborted, the tunnel is disconnected, and its instance reset.
 *
 * @param manager The manager, or several as `PostgresPools`. Default: none.
 * @param deadlineMs How long running work may take, in ms. Default: 5,000.
 * @throws what `shutdown` throws, after the tunnel has been disconnected.
 *
 * @example The end of a program
 * ```ts
 * const tunnel = SSHTunnel.initializeFromEnv();
 * await tunnel.connect();
 * const manager = new PostgresConnectionManager({ ...tunnel.postgresOptions(), user: "admin" });
 * try {
 *   await manager.query("SELECT 1");
 * } finally {
 *   await cleanup(manager);
 * }
 * ```
 */
export async function cleanup(manager?: ShutsDown, deadlineMs: number = DRAIN_MS): Promise<void> {
  try {
    await manager?.shutdown(deadlineMs);
  } finally {
    const tunnel = currentTunnel();
    await tunnel?.disconnect();
    if (tunnel === currentTunnel()) SSHTunnel.resetInstance();
  }
}

function currentTunnel(): SSHTunnel | undefined {
  try {
    return SSHTunnel.getInstance();
  } catch {
    return undefined;
  }
}
