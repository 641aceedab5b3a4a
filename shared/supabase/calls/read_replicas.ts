/**
 * Balances reads of the Data API over the read replicas of a project. Loaded by the first call of a pool that has some.
 *
 * @module
 */
import { abortable } from "@std/async/abortable";
import { chooseTarget, TargetLoad } from "../../resilience/load_balancer.ts";
import {
  type CircuitBreaker,
  type CircuitBreakerOptions,
  type Clock,
  memberOf,
  timeoutSignal,
} from "../../resilience/mod.ts";
import { RequestTimeoutError } from "../errors.ts";
import { isReplicaRead } from "./read_balancer.ts";
import {
  type GuardedCall,
  type LoadObserver,
  TargetGuard,
  TargetGuards,
  verdictOnError,
  verdictOnResponse,
} from "./target_guard.ts";

/** The longest wait for the response of a replica, in ms, within half of the time of the call: then the project responds. */
const REPLICA_TIMEOUT_MS = 5_000;

/** The status of SQLSTATEs that a replica has in place of the project (PostgREST, "HTTP Status Codes": 40*, 55*, 57*). */
const OWN_STATUS = 500;

/**
 * SQLSTATEs of a failure that there is only on a replica: it has canceled the statement in favor of recovery, does not
 * support it during recovery, or was shut down.
 */
const OWN_FAILURE = /^(40001|40P01|55000|57P0[1-3])$/;

/** The most bytes of the body of an error that are read to judge it; the errors of PostgREST are short. */
const MAX_ERROR_BYTES = 16_384;

/** Options of {@linkcode ReadReplicas}. */
export interface ReadReplicasOptions {
  /** The project's URL, without a slash at its end. */
  readonly baseUrl: string;
  /** The URLs of the replicas. */
  readonly urls: readonly string[];
  readonly clock: Clock;
  readonly random: () => number;
  readonly requestTimeoutMs: number;
  readonly send: typeof fetch;
  /** The rules of the circuit breakers of the replicas. Default: none, each is tried whenever it is chosen. */
  readonly breaker?: Omit<CircuitBreakerOptions, "target"> | undefined;
  /** The observer of all calls. Default: none. */
  readonly observer?: LoadObserver | undefined;
  /** Called with each breaker when it is created. */
  readonly onBreaker: (breaker: CircuitBreaker, target: string) => void;
}

/** Returns the observer of the calls to a replica: what it refuses, others serve. */
function withoutOverload(observer: LoadObserver): LoadObserver {
  return {
    begin: () => observer.begin(),
    end: (call, outcome) => observer.end(call, outcome === "overload" ? "ignored" : outcome),
  };
}

/** A read, as a replica receives it. */
interface ReplicaRead {
  readonly target: () => string | Request;
  readonly method: string;
  readonly init: RequestInit | undefined;
  readonly signal: AbortSignal | undefined;
}

/** A replica, and its load. */
interface Replica {
  readonly url: string;
  readonly load: TargetLoad;
  readonly guard: TargetGuard;
}

/**
 * Sends reads to the least loaded replica. A read whose replica fails is sent to another one, and at last to the project.
 */
export class ReadReplicas {
  readonly #options: ReadReplicasOptions;
  readonly #replicas: readonly Replica[];

  constructor(options: ReadReplicasOptions) {
    this.#options = options;
    const { urls, breaker, onBreaker } = options;
    const observer = options.observer && withoutOverload(options.observer);
    this.#replicas = urls.map((url) => {
      const guards = new TargetGuards({
        baseUrl: url,
        breaker,
        observer,
        maxWaiting: 0,
        onBreaker: (created) => onBreaker(created, `${url}/rest`),
      });
      return { url, load: new TargetLoad(), guard: guards.guardOf("rest") };
    });
  }

  /**
   * Sends a read as `fetch` does: to a replica, and at last to the project.
   *
   * @param onProject Called before it is sent to the project; see `ReplicaSend`.
   */
  async send(input: RequestInfo | URL, init: RequestInit | undefined, onProject: () => void): Promise<Response> {
    const { baseUrl, send } = this.#options;
    const isRequest = input instanceof Request;
    const method = (init?.method ?? (isRequest ? input.method : "GET")).toUpperCase();
    const url = isRequest ? input.url : String(input);
    const signal = init?.signal ?? (isRequest ? input.signal : undefined);
    const tried = new Set<Replica>();
    // A redirect may lead to another part of the project.
    const isRead = isReplicaRead(baseUrl, url, method);
    for (let chosen = isRead && this.#choose(tried); chosen; chosen = this.#choose(tried)) {
      const [replica, guarded] = chosen;
      tried.add(replica);
      const address = replica.url + url.slice(baseUrl.length);
      const target = () => isRequest ? new Request(address, input) : address;
      const response = await this.#sendTo(replica, guarded, { target, method, init, signal });
      if (response) return response;
      signal?.throwIfAborted();
    }
    onProject();
    return await send(input, init);
  }

  /** Chooses among the replicas that were not tried; one whose circuit asks for a probe first. */
  #choose(tried: ReadonlySet<Replica>): readonly [Replica, GuardedCall] | undefined {
    const { clock, random } = this.#options;
    const now = clock.now();
    const others = this.#replicas.filter((replica) => !tried.has(replica));
    for (const replica of others.filter(({ guard }) => guard.isRestricted)) {
      const guarded = admit(replica, now);
      if (guarded) return [replica, guarded];
    }
    const replica = chooseTarget(others.filter(({ guard }) => !guard.isRestricted), now, random);
    const guarded = replica && admit(replica, now);
    return replica && guarded ? [replica, guarded] : undefined;
  }

  /** Sends a read to a replica. Returns `undefined` if the replica has failed, so that another one is to respond. */
  async #sendTo(
    { guard, load }: Replica,
    guarded: GuardedCall,
    { target, method, init, signal }: ReplicaRead,
  ): Promise<Response | undefined> {
    const { clock, requestTimeoutMs, send } = this.#options;
    const timeoutMs = Math.min(REPLICA_TIMEOUT_MS, Math.ceil(requestTimeoutMs / 2));
    using timeout = timeoutSignal(
      timeoutMs,
      clock,
      () => new DOMException("The replica did not respond", "TimeoutError"),
    );
    const ending = signal ? AbortSignal.any([signal, timeout.signal]) : timeout.signal;
    const call = load.begin(clock.now());
    // Its circuit has to see the failures of a replica: one that seems slow is not chosen.
    const isJudgedByLoad = guard.breaker === undefined;
    let sending: Promise<Response> | undefined;
    try {
      sending = send(target(), { ...init, signal: ending });
      // A fetch that is not the runtime's own may ignore signals.
      const response = await abortable(sending, ending);
      const verdict = verdictOnResponse(response);
      guard.settle(guarded, verdict);
      const isFailed = verdict.target === "failed" || await isOwnFailure(response, method, ending);
      if (signal?.aborted) load.abort(call, clock.now());
      else load.end(call, clock.now(), isFailed && isJudgedByLoad);
      if (!isFailed) return response;
      response.body?.cancel().catch(() => {});
      return undefined;
    } catch (error) {
      sending?.then((late) => late.body?.cancel()).catch(() => {});
      const isLate = timeout.signal.aborted && signal?.aborted !== true;
      const now = clock.now();
      const lateMs = now - call.since - timeoutMs;
      const reason = isLate ? new RequestTimeoutError(timeoutMs) : error;
      const verdict = verdictOnError(reason, { aborted: ending.aborted, lateMs, isUpload: false });
      guard.settle(guarded, verdict);
      // A frozen isolate finds its calls overdue: their time says nothing, and another target may respond.
      const isOverdue = verdict.target !== "failed" && lateMs > 0;
      // A call that its caller ends early is not one that was answered fast.
      if (verdict.target === "failed") load.end(call, now, isJudgedByLoad);
      else if (isOverdue) load.drop(call);
      else load.abort(call, now);
      // An error of the call itself is the same everywhere.
      if (signal?.aborted || (verdict.target !== "failed" && !isOverdue)) throw error;
      return undefined;
    }
  }
}

/** Admits a call to a replica; `undefined` if its circuit rejects it. */
function admit({ guard }: Replica, now: number): GuardedCall | undefined {
  try {
    return guard.admit(now);
  } catch {
    return undefined;
  }
}

/** Returns whether an error is one that there is only on a replica, or whether the replica fails to say. */
async function isOwnFailure(response: Response, method: string, signal: AbortSignal): Promise<boolean> {
  if (response.status !== OWN_STATUS) return false;
  // The response to HEAD, such as to a count, has no body that says so.
  if (method === "HEAD") return true;
  if (!response.headers.get("content-type")?.includes("json")) return false;
  try {
    const text = await abortable(readBounded(response.clone(), MAX_ERROR_BYTES), signal);
    const body: unknown = text === undefined ? undefined : parseJson(text);
    return typeof body === "object" && body !== null && OWN_FAILURE.test(String(memberOf(body, "code")));
  } catch {
    return true;
  }
}

/** Reads the body of a response; `undefined` if it is longer than `maxBytes`. */
async function readBounded(response: Response, maxBytes: number): Promise<string | undefined> {
  if (!response.body) return "";
  const reader = response.body.getReader();
  const decoder = new TextDecoder();
  let text = "";
  for (let length = 0;;) {
    const { done, value } = await reader.read();
    if (done) return text + decoder.decode();
    length += value.byteLength;
    if (length > maxBytes) {
      // Not awaited: it settles when the rest of the response has been read as well.
      reader.cancel().catch(() => {});
      return undefined;
    }
    text += decoder.decode(value, { stream: true });
  }
}

function parseJson(text: string): unknown {
  try {
    return JSON.parse(text);
  } catch {
    return undefined;
  }
}
