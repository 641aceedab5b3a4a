/**
 * The rows of the connection log, from the events of a manager. No row has a value of a row, a statement or a secret.
 *
 * @module
 */
import { describeError } from "../../observability/log/mod.ts";
import type { ManagerEvents, PostgresConnectionManager } from "../../postgres/mod.ts";

/** The longest message of an error, in characters. */
const MAX_MESSAGE = 500;

/** The `status` of a row, by the event that it stands for. */
export type ConnectionLogStatus =
  | "acquired"
  | "released"
  | "created"
  | "destroyed"
  | "health_check"
  | "error"
  | "leaked"
  | "timed_out"
  | "recovered"
  | "circuit_opened"
  | "circuit_closed"
  | "closed";

/** One row of the log. */
export interface ConnectionLogRow {
  /** The connection, as `<log>/<number>`; for an event without one, the log. */
  readonly connectionId: string;
  /** The event. */
  readonly status: ConnectionLogStatus;
  /** The message of an error, without credentials and values. Default: none. */
  readonly errorMessage?: string | undefined;
  /** More data, with the time of the event. */
  readonly metadata: Readonly<Record<string, string | number | boolean | undefined>>;
}

/** The data of an event: a row without its connection's prefix and time. */
interface Entry {
  readonly connection?: number | undefined;
  readonly error?: unknown;
  readonly data?: Readonly<Record<string, string | number | boolean | undefined>>;
}

/** The events by status, and the data of each that is logged. */
type Source = { [K in keyof ManagerEvents]?: (event: ManagerEvents[K]) => Entry };

const SOURCES: Readonly<Record<ConnectionLogStatus, Source>> = {
  acquired: { acquired: ({ resourceId, lane, waitedMs }) => ({ connection: resourceId, data: { lane, waitedMs } }) },
  released: { released: ({ resourceId, lane, heldMs }) => ({ connection: resourceId, data: { lane, heldMs } }) },
  created: { created: ({ resourceId, durationMs }) => ({ connection: resourceId, data: { durationMs } }) },
  destroyed: {
    destroyed: ({ resourceId, reason, abandoned }) => ({ connection: resourceId, data: { reason, abandoned } }),
  },
  health_check: {
    healthCheck: ({ healthy, durationMs, error, stats }) => ({
      error,
      data: {
        healthy,
        durationMs,
        totalConnections: stats.totalConnections,
        activeConnections: stats.activeConnections,
        idleConnections: stats.idleConnections,
        waitingForConnection: stats.waitingForConnection,
      },
    }),
  },
  error: { error: ({ error, source, connectionId }) => ({ connection: connectionId, error, data: { source } }) },
  leaked: { leaked: ({ resourceId, lane, heldMs }) => ({ connection: resourceId, data: { lane, heldMs } }) },
  timed_out: { timedOut: ({ lane, waitedMs }) => ({ data: { lane, waitedMs } }) },
  recovered: { recovered: ({ downMs }) => ({ data: { downMs } }) },
  circuit_opened: { circuitOpened: () => ({}) },
  circuit_closed: { circuitClosed: () => ({}) },
  closed: { closed: ({ abandoned }) => ({ data: { abandoned } }) },
};

/** Every status. */
export const CONNECTION_LOG_STATUSES: readonly ConnectionLogStatus[] = Object.freeze(
  Object.keys(SOURCES) as ConnectionLogStatus[],
);

/** The statuses of which there may be many in a second. */
export const ROUTINE: ReadonlySet<ConnectionLogStatus> = new Set(["acquired", "released", "created", "destroyed"]);

/**
 * Calls `accepts` at each event of a manager, and `add` with its row if that returns true.
 *
 * @param log The name of the log.
 */
export function subscribe(
  manager: Pick<PostgresConnectionManager, "on">,
  statuses: readonly ConnectionLogStatus[],
  log: string,
  accepts: (status: ConnectionLogStatus) => boolean,
  add: (row: ConnectionLogRow) => void,
): Disposable[] {
  return statuses.flatMap((status) =>
    Object.entries(SOURCES[status]).map(([name, entryOf]) =>
      manager.on(name as keyof ManagerEvents, (event) => {
        if (!accepts(status)) return;
        add(rowOf(status, log, (entryOf as (event: unknown) => Entry)(event)));
      })
    )
  );
}

function rowOf(status: ConnectionLogStatus, log: string, { connection, error, data }: Entry): ConnectionLogRow {
  const described = error === undefined ? undefined : describeError(error);
  return {
    connectionId: connection === undefined ? log : `${log}/${connection}`,
    status,
    errorMessage: described?.error.slice(0, MAX_MESSAGE),
    metadata: { at: new Date().toISOString(), ...data, code: described?.code },
  };
}
