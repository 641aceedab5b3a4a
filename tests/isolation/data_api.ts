/**
 * A Data API within this process that checks the credentials of each call: the
 * query names the maker of the call, and the credentials must be the maker's. It
 * returns the rows of the owner of the credentials, as row-level security would,
 * and fails at random.
 *
 * @module
 */
import { decodeJwt } from "jose";
import { type Actor, type Callers, PROJECT, PUBLISHABLE, SECRET } from "./callers.ts";
import { Random } from "./random.ts";

/** The outcomes of calls, with their relative frequencies. */
const FATES = {
  answered: 78,
  /** Rejected with 503 once or twice; a retry succeeds. */
  busy: 6,
  /** The connection breaks before the response. */
  broken: 3,
  /** The connection breaks in the middle of the response. */
  torn: 3,
  /** The response arrives in two chunks. */
  slow: 4,
  /** There is never a response. */
  hung: 0.3,
  /** Redirected to another URL of the project. */
  moved: 3,
  /** Redirected to another host. */
  lured: 1.5,
  /** The token expired on its way. */
  expired: 1,
};

/** Maximum delay of a response, in ms. */
const MAX_DELAY_MS = 4;

/** The target of redirects to another host. No call may arrive there. */
const ELSEWHERE = "http://elsewhere.test/steal";

/** The Data API and its records. */
export interface DataApi {
  /** Replaces the network. */
  readonly fetch: typeof fetch;
  /** Descriptions of calls with wrong credentials, without secrets. */
  readonly violations: string[];
  /** The number of calls by identity. */
  readonly arrived: Record<"user" | "anonymous" | "admin", number>;
  /** The number of calls by outcome. */
  readonly fates: Record<string, number>;
  /** Returns the number of calls that were retried after a 503. */
  readonly retried: () => number;
}

/** Returns the rows of `owner`: their number follows from the name, and each names its owner. */
export function rowsOf(owner: string): { id: string; owner: string }[] {
  const count = 1 + new Random("rows", owner).below(4);
  return Array.from({ length: count }, (_, n) => ({ id: `${owner}/${n}`, owner }));
}

function pause(ms: number, signal: AbortSignal | null | undefined): Promise<void> {
  return new Promise((resolve, reject) => {
    if (signal?.aborted) return reject(signal.reason);
    const abort = () => {
      clearTimeout(timer);
      reject(signal?.reason);
    };
    const timer = setTimeout(() => {
      signal?.removeEventListener("abort", abort);
      resolve();
    }, ms);
    signal?.addEventListener("abort", abort, { once: true });
  });
}

/** Returns a label of a call, from its query or, if it has none, from its path. */
function labelOf({ href }: URL, name: "maker" | "call"): string | undefined {
  return new RegExp(`[?&/]${name}=(?:eq\\.)?([^&/]+)`).exec(decodeURIComponent(href))?.[1];
}

/** Returns the owner of the credentials. */
function ownerOf(headers: Headers): string {
  const authorization = headers.get("authorization");
  if (headers.get("apikey") === SECRET) return "admin";
  if (authorization === null) return "anonymous";
  try {
    return String(decodeJwt(authorization.replace(/^Bearer /, "")).sub);
  } catch {
    return "an unknown user";
  }
}

/** Returns what is wrong with the headers of a call of `maker`, without secrets, or `undefined`. */
function wrongWith(headers: Headers, maker: Actor | undefined, callers: Callers): string | undefined {
  const [apikey, authorization] = [headers.get("apikey"), headers.get("authorization")];
  if (maker === undefined) return "a call without a maker";
  if (apikey !== (maker === "admin" ? SECRET : PUBLISHABLE)) {
    return `a call of ${maker} with ${apikey === SECRET ? "the secret key" : "another key"}`;
  }
  const token = callers.tokens.get(maker);
  if (authorization !== (token === undefined ? null : `Bearer ${token}`)) {
    return `a call of ${maker} with the credentials of ${ownerOf(headers)}`;
  }
  const left = headers.get("x-left");
  return left === null || left === maker ? undefined : `a call of ${maker} with a header that ${left} left`;
}

/** Returns a stream of `body` in two chunks, or of the first one and an error if `torn`. */
function inChunks(body: string, torn: boolean, random: Random, signal: AbortSignal | null | undefined): ReadableStream {
  const bytes = new TextEncoder().encode(body);
  const middle = random.below(bytes.length);
  const waitMs = random.below(MAX_DELAY_MS);
  return new ReadableStream<Uint8Array>({
    async start(controller) {
      try {
        if (middle > 0) controller.enqueue(bytes.slice(0, middle));
        await pause(waitMs, signal);
        if (torn) throw new TypeError("the connection was reset");
        controller.enqueue(bytes.slice(middle));
        controller.close();
      } catch (error) {
        controller.error(error);
      }
    },
  });
}

/** Returns an error response of the Data API. */
function refuse(status: number, code: string, message: string): Response {
  return Response.json({ message, code, details: null, hint: null }, { status });
}

/** Creates the Data API of a run with that seed. */
export function createDataApi(seed: number, callers: Callers): DataApi {
  const api = { violations: [], arrived: { user: 0, anonymous: 0, admin: 0 }, fates: {} } as Omit<
    DataApi,
    "fetch" | "retried"
  >;
  const attempts = new Map<string, number>();
  const busy = new Set<string>();
  let retried = 0;

  async function respond(url: URL, headers: Headers, signal: AbortSignal | null | undefined): Promise<Response> {
    const owner = ownerOf(headers);
    const maker = labelOf(url, "maker") as Actor | undefined;
    const call = labelOf(url, "call") ?? "";
    const wrong = wrongWith(headers, maker, callers);
    if (wrong !== undefined) api.violations.push(wrong);
    if (url.origin !== PROJECT) api.violations.push(`a call of ${maker} that left the project`);
    api.arrived[owner === "admin" || owner === "anonymous" ? owner : "user"]++;

    const attempt = (attempts.get(call) ?? 0) + 1;
    attempts.set(call, attempt);
    if (busy.delete(call)) retried++;
    const random = new Random(seed, "call", call);
    // Later attempts succeed, so that retries have an effect.
    const fate = attempt > 1 + random.below(2) ? "answered" : random.pick(FATES);
    api.fates[fate] = (api.fates[fate] ?? 0) + 1;
    const delayMs = random.below(MAX_DELAY_MS + 1);
    if (fate === "hung") await pause(60_000, signal);
    if (delayMs > 0) await pause(delayMs, signal);
    const body = JSON.stringify(rowsOf(owner));
    const type = { "content-type": "application/json" };
    switch (fate) {
      case "busy":
        busy.add(call);
        return refuse(503, "53300", "too many");
      case "broken":
        throw new TypeError("error sending request: connection closed before message completed");
      case "expired":
        return refuse(401, "PGRST303", "JWT expired");
      case "moved":
        return new Response(null, { status: 307, headers: { location: `${url.pathname}${url.search}&moved=1` } });
      case "lured":
        return new Response(null, { status: 307, headers: { location: ELSEWHERE } });
      case "torn":
      case "slow":
        return new Response(inChunks(body, fate === "torn", random, signal), { headers: type });
      default:
        return new Response(body, { headers: type });
    }
  }

  return {
    ...api,
    retried: () => retried,
    fetch: (input, init) => {
      const request = input instanceof Request ? input : undefined;
      const headers = new Headers(init?.headers ?? request?.headers);
      return respond(new URL(request?.url ?? String(input)), headers, init?.signal ?? request?.signal);
    },
  };
}
