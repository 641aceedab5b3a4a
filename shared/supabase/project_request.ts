/**
 * Requests that stay within a project, redirects included.
 *
 * @module
 */
import { ForeignAddressError, RedirectError } from "./errors.ts";

/** So many redirects are followed, as the Fetch standard has it. */
const MAX_REDIRECTS = 20;

/** Statuses whose `location` is followed (Fetch standard, "redirect status"). */
const REDIRECTS = [301, 302, 303, 307, 308];

/** What describes a body, and goes with it (Fetch standard, "request-body-header name"). */
const BODY_HEADERS = ["content-encoding", "content-language", "content-location", "content-type", "content-length"];

/** A request whose address has been checked. */
export interface ProjectRequest {
  /** What is sent: the address in its one form, or a request whose address is in it already. */
  readonly target: string | Request;
  /** The address of `target`, as it was checked. */
  readonly url: string;
  readonly method: string;
  readonly headers: HeadersInit | undefined;
  readonly signal: AbortSignal | undefined;
  readonly redirect: RequestRedirect;
  /** Whatever else the caller said of it. */
  readonly init: RequestInit | undefined;
}

/** An answer, and where it came from. */
export interface ProjectAnswer {
  readonly response: Response;
  /** The address that answered, after all redirects. */
  readonly url: string;
  readonly redirected: boolean;
}

/**
 * The request that `fetch(input, init)` would send. Its address is parsed once:
 * what is checked is what is sent, whatever `..` was in it and whatever happens
 * to a `URL` object meanwhile.
 *
 * @param baseUrl The project's address, without a slash at its end.
 * @throws {ForeignAddressError} when it would leave the project.
 */
export function projectRequest(
  input: RequestInfo | URL,
  init: RequestInit | undefined,
  baseUrl: string,
): ProjectRequest {
  if (input instanceof Request) {
    const request = new Request(input, init);
    const { method, headers, signal, redirect } = request;
    const url = within(request.url, undefined, baseUrl);
    return { target: request, url, method, headers, signal, redirect, init: undefined };
  }
  const url = within(String(input), undefined, baseUrl);
  const method = (init?.method ?? "GET").toUpperCase();
  const redirect = init?.redirect ?? "follow";
  return { target: url, url, method, headers: init?.headers, signal: init?.signal ?? undefined, redirect, init };
}

/** How a request is sent. */
export interface Sending {
  readonly request: ProjectRequest;
  /** What it carries beside the credentials. */
  readonly headers: Headers;
  /** Puts the credentials into headers: before each step of the way, whoever else has a hand in them meanwhile. */
  readonly complete: (headers: Headers) => Headers;
  readonly signal: AbortSignal;
  /** The project's address, without a slash at its end. */
  readonly baseUrl: string;
  readonly send: typeof fetch;
}

/**
 * Sends `request` and follows redirects within the project. The runtime's own
 * following takes only `authorization` away on the way to another origin: the
 * `apikey` would go along.
 *
 * Method and body change as the Fetch standard says (section 4.4, HTTP-redirect
 * fetch). The caller's `redirect: "manual"` gets the redirect itself.
 *
 * @throws {ForeignAddressError} when a redirect would leave the project.
 * @throws {RedirectError} when a redirect cannot be followed, or must not be (`redirect: "error"`).
 */
export async function sendWithin(
  { request, headers, complete, signal, baseUrl, send }: Sending,
): Promise<ProjectAnswer> {
  let { target, url, method } = request;
  let body = request.init?.body ?? null;
  let sent = complete(headers);
  for (let redirects = 0;; redirects++) {
    const bound: RequestInit = { headers: sent, signal, redirect: "manual" };
    const response = await (target instanceof Request
      ? send(target, bound)
      : send(target, { ...request.init, ...bound, method, body }));
    const location = REDIRECTS.includes(response.status) ? response.headers.get("location") : null;
    if (location === null || request.redirect === "manual") {
      return { response, url, redirected: redirects > 0 };
    }

    // What it says beside its address is of no use; not waited for, since nobody reads it.
    response.body?.cancel().catch(() => {});
    if (request.redirect === "error") {
      throw new RedirectError('the call allows none (redirect: "error")');
    }
    if (redirects === MAX_REDIRECTS) {
      throw new RedirectError(`there were more than ${MAX_REDIRECTS} of them`);
    }
    // Asked for only now: a Request whose body was looked at is sent without its length.
    if (target instanceof Request) {
      body = target.body;
    }
    url = target = within(location, url, baseUrl);
    sent = complete(new Headers(sent));
    const toGet = response.status === 303
      ? method !== "GET" && method !== "HEAD"
      : response.status <= 302 && method === "POST";
    if (toGet) {
      method = "GET";
      body = null;
      for (const name of BODY_HEADERS) {
        sent.delete(name);
      }
    } else if (body instanceof ReadableStream) {
      throw new RedirectError("the body is a stream, which cannot be sent twice: pass bytes, text or a Blob");
    }
  }
}

/** `address` in its one form, where that lies within the project. */
function within(address: string, from: string | undefined, baseUrl: string): string {
  const href = URL.canParse(address, from) ? new URL(address, from).href : "";
  if (!href.startsWith(`${baseUrl}/`)) throw new ForeignAddressError(from === undefined ? "this call" : "a redirect");
  return href;
}
