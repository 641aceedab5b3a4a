/**
 * The state of a server, as its sessions report it without being asked (PostgreSQL 14 and later).
 *
 * @module
 */
import type { QueryResult, Statement } from "../wire/query_result.ts";
import type { PendingResult } from "../wire/wire_request.ts";

/** The state of a server. A server or pooler that does not report a part of it leaves it `undefined`. */
export interface ServerState {
  /** True on a standby (`in_hot_standby`): it accepts no writes. */
  readonly inHotStandby: boolean | undefined;
  /** True if transactions only read by default (`default_transaction_read_only`). */
  readonly readOnly: boolean | undefined;
}

/**
 * The servers that sessions may be on, by the names of libpq (`target_session_attrs`). `read-write` and `read-only`: those
 * whose transactions may write, or may not, by default. `primary` and `standby`: those that are not, or are, a standby.
 */
export type TargetSessionAttributes = "any" | "read-write" | "read-only" | "primary" | "standby";

/** The values of {@linkcode TargetSessionAttributes}. */
export const TARGET_SESSION_ATTRIBUTES: readonly TargetSessionAttributes[] = Object.freeze([
  "any",
  "read-write",
  "read-only",
  "primary",
  "standby",
]);

/** Returns whether a session is on a server of the wanted kind. What a server does not report is not held against it. */
export function isOnTarget({ inHotStandby, readOnly }: ServerState, wanted: TargetSessionAttributes): boolean {
  switch (wanted) {
    case "any":
      return true;
    case "primary":
      return inHotStandby !== true;
    case "standby":
      return inHotStandby !== false;
    case "read-write":
      return inHotStandby !== true && readOnly !== true;
    case "read-only":
      return inHotStandby !== false || readOnly !== false;
  }
}

/** The session of a connection, before anything is sent on it. */
export interface LeasedSession {
  /** The settings that the server reports, by name; see {@linkcode serverStateOf}. */
  readonly settings: ReadonlyMap<string, string>;
  /** The instant at which the connection was established, in ms of the clock. */
  readonly establishedAt: number;
  /** The time that establishing it took, in ms. Default: not known. */
  readonly connectMs?: number;
}

function isOn(value: string | undefined): boolean | undefined {
  return value === undefined ? undefined : value === "on";
}

/** Returns the state of the server that a session reports. */
export function serverStateOf(settings: ReadonlyMap<string, string>): ServerState {
  return {
    inHotStandby: isOn(settings.get("in_hot_standby")),
    readOnly: isOn(settings.get("default_transaction_read_only")),
  };
}

/** Behind a write it is the end of that write's record in the log, or later. */
const POSITION: Statement = {
  text: "SELECT pg_catalog.pg_current_wal_insert_lsn()::pg_catalog.text AS position",
  values: [],
};

/** Sends a statement on a connection. */
interface Sender {
  start(statements: readonly Statement[], deferWrite?: boolean): PendingResult;
}

/**
 * Asks for the position of the write-ahead log behind what was sent on a connection, in the same round trip.
 *
 * @returns The position, such as `0/16B3748`; `undefined` if the server did not say.
 */
export function walPositionBehind(connection: Sender): Promise<string | undefined> {
  const read = ([result]: readonly QueryResult[]) => {
    const position: unknown = result?.rows[0]?.["position"];
    return typeof position === "string" ? position : undefined;
  };
  return connection.start([POSITION]).results.then(read, () => undefined);
}
