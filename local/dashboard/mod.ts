/**
 * The dashboard: a local page on the pools of every isolate.
 *
 * @module
 */
import { DASHBOARD_PORT } from "./arguments.ts";
import { type Dashboard, type DashboardOptions, startDashboard } from "./server.ts";

export { type Dashboard, type DashboardOptions, startDashboard } from "./server.ts";
export type { ProjectAccess } from "./upstream.ts";

/**
 * Starts the dashboard on its own port, or on a free one if that is taken and `port` is not set.
 *
 * @throws {StackError} `PORT_TAKEN` or `PORT_FORBIDDEN`.
 */
export function openDashboard(
  options: Omit<DashboardOptions, "port"> & { readonly port?: number | undefined },
): Dashboard {
  if (options.port !== undefined) return startDashboard({ ...options, port: options.port });
  try {
    return startDashboard({ ...options, port: DASHBOARD_PORT });
  } catch {
    return startDashboard({ ...options, port: 0 });
  }
}
