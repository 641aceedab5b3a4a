/**
 * The owner of calls, and the settings that calls share.
 *
 * @module
 */
import type { PoolEvents } from "../../pool/mod.ts";
import type { BusyTime, Clock, Deadlines, EventHub, FailedResponse, RetryBudget } from "../../resilience/mod.ts";
import type { CallPoolEvents } from "../circuits.ts";
import type { Credentials } from "../identity.ts";
import type { CallLimiter } from "./call_limiter.ts";
import type { ReadBalancer } from "./read_balancer.ts";
import type { TargetGuards } from "./target_guard.ts";

/** The settings that the calls of all leases of a pool share. */
export interface CallSettings {
  /** The project's URL, without a slash at its end. */
  readonly baseUrl: string;
  readonly fetch: typeof fetch;
  readonly deadlines: Deadlines;
  /**
   * The longest time from when a call is sent until its body has been read, in ms. For a body that is read as a stream,
   * the longest silence: the time in which neither a chunk arrives nor its reader asks for one.
   */
  readonly requestTimeoutMs: number;
  readonly clock: Clock;
  /** The guards of the project's parts. Default: none, every call is sent. */
  readonly guards?: TargetGuards | undefined;
  /** Balances reads over read replicas. Default: none, all calls go to the project. */
  readonly reads?: ReadBalancer | undefined;
  /** Bounds the retries of reads. Default: none. */
  readonly budget?: RetryBudget | undefined;
  /** Emits `called` for each call. Default: none is emitted. */
  readonly events?: Pick<EventHub<CallPoolEvents & Pick<PoolEvents, "error">>, "emit" | "has"> | undefined;
}

/** The limit on the calls of one scope that run at once. */
export interface CallLimit {
  readonly callsAtOnce: number;
  /** Created by the first call. */
  limiter: CallLimiter | undefined;
  /** Returns the time that the scope has left, in ms, within which calls are retried. Default: no limit. */
  readonly timeLeftMs?: (() => number) | undefined;
  /** Returns headers for each call, which the call's own override. Default: none. */
  readonly traceHeaders?: (() => Readonly<Record<string, string>> | undefined) | undefined;
  /** Sums the time in which calls are under way, from when they are sent until their bodies are read. Default: it is not summed. */
  readonly upstream?: BusyTime | undefined;
}

/** The owner of a call. */
export interface CallHost {
  readonly settings: CallSettings;
  readonly credentials: Credentials;
  readonly slot: CallLimit;
  /** False once the lease ends: a response that is not being read is soon discarded. */
  readonly isOpen: boolean;
  /** True if the slot has to be taken first. */
  readonly isView: boolean;
  /** True if its reads are retried. */
  readonly retriesReads: boolean;
  /** Takes the slot; `undefined` once it is held. */
  takeSlot(): Promise<void> | undefined;
  /** Called when a call waits to be sent again: it does not use the slot meanwhile. */
  onPaused(): void;
  /** Called when no call uses the slot. Default: the slot is held between calls. */
  readonly onIdle: (() => void) | undefined;
  /** Calls `onIdle` if no call uses the slot. */
  checkIdle(): void;
  /** Called with the reason when a call, or the rest of its body, failed. */
  onFailed(error: unknown): void;
  /** Called with a response that is not a success. */
  onRejected(response: FailedResponse): void;
}
