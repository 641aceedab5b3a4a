/**
 * The events of a group of targets.
 *
 * @module
 */
import type { ServerRole } from "./server_report.ts";

/** The events of a group, by name. Targets are named as in the options. */
export interface ReplicaEvents {
  /** Writes go to another target; `undefined` for none. */
  primaryChanged: {
    readonly from: string | undefined;
    readonly to: string | undefined;
    /** The timeline of the new primary: each promotion begins one. */
    readonly timeline: number | undefined;
  };
  /** The server of a target is a standby now, or a primary. */
  roleChanged: { readonly target: string; readonly from: ServerRole | undefined; readonly to: ServerRole };
  /** A target does not respond: nothing is sent to it until it has answered a check. */
  targetDown: { readonly target: string; readonly reason: Error };
  /** A target responds again. */
  targetUp: { readonly target: string; readonly downMs: number };
  /**
   * Several targets accept writes. Those with an older timeline are not used: a standby was promoted in their place. With
   * the same timeline, the group stays with the one it has.
   */
  splitBrain: { readonly kept: string; readonly ignored: readonly string[] };
  /** An error that no caller receives: a target belongs to another cluster, or a listener failed. */
  error: { readonly error: Error; readonly target: string | undefined };
}
