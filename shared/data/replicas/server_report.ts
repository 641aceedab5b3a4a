/**
 * Reports of servers about themselves, which checks ask for.
 *
 * @module
 */
import { parseWalPosition } from "./wal_position.ts";

/** The role of a server. */
export type ServerRole = "primary" | "standby";

/** The result of a check. */
export interface ServerReport {
  readonly role: ServerRole;
  /** True if transactions only read by default (`default_transaction_read_only`). */
  readonly readOnly: boolean;
  /**
   * The timeline that a primary writes, or that a standby is known to follow. A standby learns of a new one first, and
   * says so later: until then it may follow a server that is not the primary any more.
   */
  readonly timeline: number;
  /** The position that a standby has replayed, or that a primary has written. */
  readonly position: bigint | undefined;
  /** The time since the commit that a standby has replayed last, in ms; 0 if it has replayed all that it received. */
  readonly lagMs: number;
  /** The identifier of the cluster, which a server and its standbys share. */
  readonly system: string | undefined;
}

/**
 * The timeline that a standby follows. The control file says so after some time; the WAL receiver at once, to roles that may
 * read statistics (`pg_read_all_stats`).
 */
const FOLLOWED = "GREATEST((SELECT min_recovery_end_timeline FROM pg_catalog.pg_control_recovery()), " +
  "(SELECT received_tli FROM pg_catalog.pg_stat_wal_receiver))";

/**
 * Describes the server. The functions for primaries fail on a standby, and are not called there. The first eight digits of
 * the name of a segment are the timeline.
 */
export const REPORT = `
SELECT r.standby, pg_catalog.current_setting('default_transaction_read_only') OPERATOR(pg_catalog.=) 'on' AS read_only,
  CASE WHEN r.standby THEN pg_catalog.pg_last_wal_replay_lsn() ELSE pg_catalog.pg_current_wal_insert_lsn() END
    ::pg_catalog.text AS position,
  CASE WHEN NOT r.standby
    THEN pg_catalog.substr(pg_catalog.pg_walfile_name(pg_catalog.pg_current_wal_insert_lsn()), 1, 8) END AS written,
  ${FOLLOWED} AS followed,
  CASE WHEN r.standby
    AND pg_catalog.pg_last_wal_receive_lsn() OPERATOR(pg_catalog.<>) pg_catalog.pg_last_wal_replay_lsn()
    THEN pg_catalog.date_part('epoch', pg_catalog.clock_timestamp()
      OPERATOR(pg_catalog.-) pg_catalog.pg_last_xact_replay_timestamp()) ELSE 0 END AS lag,
  (SELECT system_identifier::pg_catalog.text FROM pg_catalog.pg_control_system()) AS system
FROM (SELECT pg_catalog.pg_is_in_recovery() AS standby) r`;

/**
 * Returns what a standby has replayed. It never goes back: what follows in the same transaction sees at least that, if the
 * isolation level is read committed. Others have one snapshot, from right before this.
 */
export const REPLAYED = `
SELECT pg_catalog.pg_last_wal_replay_lsn()::pg_catalog.text AS position, ${FOLLOWED} AS followed,
  pg_catalog.current_setting('transaction_isolation') AS isolation`;

/** The progress of a standby in the log. */
export interface Replayed {
  readonly position: bigint | undefined;
  /** The timeline that it is known to follow. */
  readonly timeline: number;
}

/** Reads the row of {@linkcode REPLAYED}. */
export function readReplayed(row: Readonly<Record<string, unknown>> | undefined): Replayed {
  return { position: parseWalPosition(row?.["position"]), timeline: Number(row?.["followed"] ?? 0) };
}

/** Reads the row of {@linkcode REPORT}. */
export function readReport(row: Readonly<Record<string, unknown>> | undefined): ServerReport {
  const { standby, read_only, position, written, followed, lag, system } = row ?? {};
  return {
    role: standby === true ? "standby" : "primary",
    readOnly: read_only === true,
    timeline: typeof written === "string" ? Number.parseInt(written, 16) : Number(followed ?? 0),
    position: parseWalPosition(position),
    lagMs: Math.max(0, Number(lag ?? 0) * 1_000),
    system: typeof system === "string" ? system : undefined,
  };
}
