/**
 * The model of the scopes of one run: the state that each of their members has to be in.
 *
 * @module
 */
import type { Lease } from "../../../../shared/pool/mod.ts";
import type { ClientSlot } from "../../../../shared/supabase/client_template.ts";
import type { CallerScope } from "../../../../shared/supabase/scope/caller_scope.ts";
import type { ClientLease } from "../../../../shared/supabase/scope/client_lease.ts";

/** The model of a scope. */
export interface ModelScope {
  readonly scope: CallerScope;
  readonly signal: AbortController | undefined;
  /** `true` once the scope was closed or aborted. */
  ended: boolean;
  /** `true` once the scope was aborted: it holds nothing then. */
  aborted: boolean;
  /** `true` once it holds the slot during calls only. */
  betweenCalls: boolean;
  /** The pool's leases of its slots; at most one is active at rest. */
  readonly slots: Pick<Lease<ClientSlot>, "active" | "resource">[];
}

/** The model of a lease, in a scope or outside of any. */
export interface ModelLease {
  readonly of: ModelScope | undefined;
  /** The time by which the acquire settles, in ms of the clock. */
  readonly deadlineMs: number;
  state: "pending" | "held" | "ended";
  lease: Pick<ClientLease, "release" | typeof Symbol.dispose> | undefined;
}

/** The model of a scope's client. */
export interface ModelClient {
  readonly of: ModelScope;
  readonly fetch: typeof fetch;
  /**
   * `true` once a call was sent: the client holds the slot until it is lost, or until no call needs it and the scope has
   * ended or releases the slot between calls.
   */
  inSlot: boolean;
}

/** The model of a client's call. */
export interface ModelCall {
  readonly client: ModelClient;
  state: "unsent" | "sent" | "answered" | "reading" | "taken" | "ended";
  /** The reader of a body that was taken as a stream, and the time of that. */
  taken: { readonly reader: ReadableStreamDefaultReader<Uint8Array>; readonly atMs: number } | undefined;
  /** Resolves the call with a response, once it was sent. */
  answer: ((response: Response) => void) | undefined;
  fail: ((error: unknown) => void) | undefined;
  response: Response | undefined;
}
