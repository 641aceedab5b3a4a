/**
 * A Data API within this process, which knows who should have sent what: each
 * call names its maker in the query, and whoever's credentials come with it
 * must be the maker's. It answers the owner of the credentials, whatever the
 * query says, as row-level security would; and it is as unreliable as it is told
 * to be.
 *
 * @module
 */
import { decodeJwt } from "jose";
import { type Actor, type Callers, PROJECT, PUBLISHABLE, SECRET } from "./callers.ts";
import { Random } from "./random.ts";

/** What befalls calls, and how often. */
const FATES = {
  answered: 78,
  /** Refused as too many, once or twice, and answered when it is tried again. */
  busy: 6,
  /** The connection breaks before there is an answer. */
  broken: 3,
  /** The answer breaks off in the middle. */
  torn: 3,
  /** The answer comes in pieces. */
  slow: 4,
  /** There is never an answer. */
  hung: 0.3,
  /** Redirected to another address of the project. */
  moved: 3,
  /** Redirected to somebody else's. */
  lured: 1.5,
  /** The token has expired on its way. */
  expired: 1,
};

/** The longest that an answer takes, in ms. */
const MAX_DELAY_MS = 4;

/** Where lures lead. Nothing may ever arrive there. */
const ELSEWHERE = "http://elsewhere.test/steal";

/** The Data API and what it has seen. */
export interface DataApi {
  /** In the place of the network. */
  readonly fetch: typeof fetch;
  /** What arrived and should not have, in words without a secret. */
  readonly violations: string[];
  /** How many calls arrived, by who they acted as. */
  readonly arrived: Record<"user" | "anonymous" | "admin", number>;
  /** How many calls met each fate. */
  readonly fates: Record<string, number>;
  /** How many calls came again after they had been refused as too many. */
  readonly retried: () => number;
}

/** The rows of `owner`: so many as its name says, and all of them say whose they are. */
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

/** What a call says of itself, in its query or, where that cannot be had, in its path. */
function labelOf({ href }: URL, name: "maker" | "call"): string | undefined {
  return new RegExp(`[?&/]${name}=(?:eq\\.)?([^&/]+)`).exec(decodeURIComponent(href))?.[1];
}

/** Whose credentials these are. */
function ownerOf(headers: Headers): string {
  const authorization = headers.get("authorization");
  if (headers.get("apikey") === SECRET) return "admin";
  if (authorization === null) return "anonymous";
  try {
    return String(decodeJwt(authorization.replace(/^Bearer /, "")).sub);
  } catch {
    return "nobody known";
  }
}

/** What of a call's headers is not what `maker` may send; without a secret in it. */
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

/** `body` in two pieces, or one and no more where it is torn. */
function inPieces(body: string, torn: boolean, random: Random, signal: AbortSignal | null | undefined): ReadableStream {
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

/** A refusal, as the Data API words it. */
function refuse(status: number, code: string, message: string): Response {
  return Response.json({ message, code, details: null, hint: null }, { status });
}

/** Starts one for a run with that seed. */
export function createDataApi(seed: number, callers: Callers): DataApi {
  const api = { violations: [], arrived: { user: 0, anonymous: 0, admin: 0 }, fates: {} } as Omit<
    DataApi,
    "fetch" | "retried"
  >;
  const attempts = new Map<string, number>();
  const busy = new Set<string>();
  let retried = 0;

  async function answer(url: URL, headers: Headers, signal: AbortSignal | null | undefined): Promise<Response> {
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
    // What fails goes well later on, so that a retry has a point.
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
        return new Response(inPieces(body, fate === "torn", random, signal), { headers: type });
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
      return answer(new URL(request?.url ?? String(input)), headers, init?.signal ?? request?.signal);
    },
  };
}
