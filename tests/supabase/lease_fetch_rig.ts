/**
 * The calls of one lease, whose responses a test decides.
 *
 * @module
 */
import { Deadlines } from "../../shared/resilience/mod.ts";
import type { Credentials } from "../../shared/supabase/identity.ts";
import type { CallSettings } from "../../shared/supabase/calls/call_host.ts";
import { LeaseFetch } from "../../shared/supabase/calls/lease_fetch.ts";
import { FakeClock, settle } from "../support/fake_clock.ts";

/** The URL of the project. */
export const BASE = "http://project.test";
/** A URL in the project. */
export const URL_OF_X = `${BASE}/x`;
/** The credentials of an anonymous lease. */
export const ANONYMOUS: Credentials = { apikey: "key", authorization: undefined, token: undefined, mayOverride: false };

/** A call that was sent, and the function that responds to it. */
export interface Sent {
  readonly headers: Headers;
  readonly signal: AbortSignal | null;
  readonly answer: (response: Response) => void;
}

/** Creates the calls of a lease, on a fake clock. */
export function calling(options: Partial<CallSettings> & {
  credentials?: Credentials;
  signal?: AbortSignal;
  take?: () => Promise<void> | undefined;
  requestTimeoutMs?: number;
  callsPerLease?: number;
} = {}): { calls: LeaseFetch; clock: FakeClock; sent: Sent[] } {
  const { credentials = ANONYMOUS, signal, take, requestTimeoutMs = 1_000, callsPerLease = 6, ...settings } = options;
  const clock = new FakeClock();
  const sent: Sent[] = [];
  const stub: typeof fetch = (_input, init) => {
    const { promise, resolve, reject } = Promise.withResolvers<Response>();
    const bound = init?.signal ?? null;
    bound?.addEventListener("abort", () => reject(bound.reason));
    sent.push({ headers: new Headers(init?.headers), signal: bound, answer: resolve });
    return promise;
  };
  const calls = new LeaseFetch(
    {
      baseUrl: BASE,
      deadlines: new Deadlines(clock),
      requestTimeoutMs,
      fetch: stub,
      clock,
      ...settings,
    },
    credentials,
    { callsAtOnce: callsPerLease, limiter: undefined, take: () => take?.(), leave: () => true },
    signal,
    take && { lane: undefined, timeoutMs: undefined },
  );
  return { calls, clock, sent };
}

/** Returns a signal that counts its listeners. */
export function counted(): { controller: AbortController; signal: AbortSignal; count: { listeners: number } } {
  const controller = new AbortController();
  const { signal } = controller;
  const count = { listeners: 0 };
  const add = signal.addEventListener.bind(signal);
  const remove = signal.removeEventListener.bind(signal);
  signal.addEventListener = (...args: Parameters<typeof add>) => (count.listeners++, add(...args));
  signal.removeEventListener = (...args: Parameters<typeof remove>) => (count.listeners--, remove(...args));
  return { controller, signal, count };
}

/** Returns whether `promise` has settled. */
export async function settled(promise: Promise<unknown> | undefined): Promise<boolean> {
  let isSettled = false;
  Promise.resolve(promise).then(() => isSettled = true, () => isSettled = true);
  await settle();
  return isSettled;
}

/** Options of {@linkcode callsOf}. */
export interface CallsOptions {
  readonly callsAtOnce: number;
  readonly timeLeftMs: (() => number) | undefined;
  readonly signal: AbortSignal | undefined;
  /** True if the calls take the slot when they are sent. */
  readonly isView: boolean;
  /** True if reads are retried. */
  readonly retries: boolean;
}

/** Creates the calls of an anonymous lease whose slot is always free, and the log of its use. */
export function callsOf(settings: CallSettings, options: CallsOptions): { calls: LeaseFetch; slot: string[] } {
  const { callsAtOnce, timeLeftMs, signal, isView, retries } = options;
  const slot: string[] = [];
  const take = () => void slot.push("take");
  const leave = () => (slot.push("leave"), true);
  const holder = { callsAtOnce, limiter: undefined, timeLeftMs, take, leave };
  const lease = isView ? { lane: undefined, timeoutMs: undefined } : undefined;
  return { calls: new LeaseFetch(settings, ANONYMOUS, holder, signal, lease, retries), slot };
}
