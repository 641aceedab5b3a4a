/**
 * A topology and a router over targets without servers.
 *
 * @module
 */
import { EventHub, toError } from "../../../shared/resilience/mod.ts";
import type { LeasedSession, PostgresConnectionManager } from "../../../shared/postgres/mod.ts";
import { ReplicaRouter } from "../../../shared/data/replicas/replica_router.ts";
import type { ReplicaEvents } from "../../../shared/data/replicas/replica_events.ts";
import { ReplicaTarget } from "../../../shared/data/replicas/replica_target.ts";
import type { ServerReport } from "../../../shared/data/replicas/server_report.ts";
import { TargetChecks } from "../../../shared/data/replicas/target_checks.ts";
import { Topology } from "../../../shared/data/replicas/topology.ts";
import { FakeClock } from "../../support/fake_clock.ts";

/** A target whose checks are scripted. */
export interface ScriptedTarget {
  readonly target: ReplicaTarget;
  /** The result of its checks: a report, or the error that they fail with. */
  answer: ServerReport | Error;
  /** The number of its checks. */
  checks: number;
}

/** Returns a report of a primary. */
export function primary(timeline = 1, report: Partial<ServerReport> = {}): ServerReport {
  return { role: "primary", readOnly: false, timeline, position: 100n, lagMs: 0, system: "s", ...report };
}

/** Returns a report of a standby. */
export function standby(timeline = 1, report: Partial<ServerReport> = {}): ServerReport {
  return { ...primary(timeline), role: "standby", ...report };
}

/** The row of a report, as a server returns it. */
function rowOf({ role, readOnly, timeline, position, lagMs, system }: ServerReport): Record<string, unknown> {
  const text = position === undefined ? null : `0/${position.toString(16).toUpperCase()}`;
  const written = role === "primary" ? timeline.toString(16).padStart(8, "0") : null;
  const followed = role === "standby" ? timeline : 0;
  return {
    standby: role === "standby",
    read_only: readOnly,
    position: text,
    written,
    followed,
    lag: lagMs / 1_000,
    system,
  };
}

/** Options of {@linkcode scriptedGroup}. */
export interface ScriptedOptions {
  readonly answers: readonly (ServerReport | Error)[];
  readonly readsAvoidPrimary?: boolean;
  readonly maxLagMs?: number;
}

/** A group without servers. */
export interface ScriptedGroup {
  readonly clock: FakeClock;
  readonly targets: readonly ScriptedTarget[];
  readonly topology: Topology;
  readonly checks: TargetChecks;
  readonly router: ReplicaRouter;
  readonly events: string[];
  /** Checks all targets. */
  check(): Promise<void>;
}

/** The names of events. */
const EVENTS = ["primaryChanged", "roleChanged", "targetDown", "targetUp", "splitBrain", "error"] as const;

/** Creates a group of targets `a`, `b` and so on, whose checks have the scripted results. */
export function scriptedGroup(
  { answers, readsAvoidPrimary = false, maxLagMs = 1_000 }: ScriptedOptions,
): ScriptedGroup {
  const clock = new FakeClock();
  const targets = answers.map((answer, index): ScriptedTarget => {
    const lease = () => {
      scripted.checks++;
      if (scripted.answer instanceof Error) return Promise.reject(scripted.answer);
      const query = () => Promise.resolve({ rows: [rowOf(scripted.answer as ServerReport)] });
      return Promise.resolve({ query, [Symbol.asyncDispose]: () => Promise.resolve() });
    };
    const manager = { lease, query: lease } as unknown as PostgresConnectionManager;
    const scripted = { target: new ReplicaTarget("abcdef"[index] ?? "", manager), answer, checks: 0 };
    return scripted;
  });
  const events: string[] = [];
  const hub = new EventHub<ReplicaEvents>({ listenerError: (error) => ({ error: toError(error), target: undefined }) });
  for (const name of EVENTS) {
    hub.on(name, (event: ReplicaEvents[typeof name]) => {
      const { reason: _reason, error: _error, ...shown } = event as Record<string, unknown>;
      events.push(`${name} ${Object.values(shown).flat().map(String).join(" ")}`);
    });
  }
  const topology = new Topology(targets.map(({ target }) => target), {
    clock,
    hub,
    readsAvoidPrimary,
    maxLagMs,
    check: (target) => checks.check(target),
  });
  const checks: TargetChecks = new TargetChecks({
    clock,
    intervalMs: 1_000,
    timeoutMs: 800,
    onReport: (target, report, at) => topology.reported(target, report, at),
    onFailure: (target, error) => topology.failed(target, error),
    hasPrimary: () => topology.primary !== undefined,
  });
  const router = new ReplicaRouter({
    clock,
    random: () => 0.4,
    topology,
    checks,
    failoverTimeoutMs: 2_000,
    replayWaitMs: 0,
    readYourWrites: true,
    staleMs: 60_000,
  });
  const check = async () => {
    checks.used(clock.now());
    await Promise.all(targets.map(({ target }) => checks.check(target)));
  };
  return { clock, targets, topology, checks, router, events, check };
}

/** A session of a server. */
export function session(inHotStandby: boolean | undefined, establishedAt = 0): LeasedSession {
  const value = inHotStandby === undefined ? [] : [["in_hot_standby", inHotStandby ? "on" : "off"] as const];
  return { settings: new Map(value), establishedAt };
}
