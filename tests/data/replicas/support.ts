/**
 * Groups of targets under test.
 *
 * @module
 */
import { PostgresReplicas, type ReplicaEvents, type ReplicasOptions } from "../../../shared/data/mod.ts";
import type { ReplicatedDatabase } from "../../postgres/replication.ts";
import type { Login } from "../../postgres/support.ts";

/** Returns a group on the servers of a database, named `a`, `b` and so on. */
export function groupOn(
  database: ReplicatedDatabase,
  options: Partial<ReplicasOptions> = {},
  login: Login = "superuser",
): PostgresReplicas {
  const targets = database.servers.map((_, index) => ({ name: "abc"[index], ...database.options(index, login) }));
  return new PostgresReplicas({ targets, common: { minConnections: 0, maxConnections: 4 }, ...options });
}

const EVENTS = ["primaryChanged", "roleChanged", "targetDown", "targetUp", "splitBrain", "error"] as const;

/** Collects the events of a group as lines, without durations and reasons. */
export function eventsOf(group: PostgresReplicas): string[] {
  const lines: string[] = [];
  for (const name of EVENTS) {
    group.on(name, (event: ReplicaEvents[typeof name]) => {
      const { reason: _reason, downMs: _downMs, ...shown } = event as Record<string, unknown>;
      lines.push(`${name} ${JSON.stringify(shown)}`);
    });
  }
  return lines;
}
