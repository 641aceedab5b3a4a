/**
 * Requests that stay within a project, redirects included.
 *
 * @module
 */
import { ForeignAddressError, RedirectError, UrlTooLongError } from "../errors.ts";
import type { Credentials } from "../identity.ts";

/** The global `fetch`, looked up at each call: the runtime's own way to send. */
export function globalFetch(input: RequestInfo | URL, init?: RequestInit): Promise<Response> {
  return fetch(input, init);
}

/**
 * The maximum length of a URL, in characters: the HTTP client of Deno sends none that is longer. Gateways reject shorter
 * ones already (nginx from 8 KB, Cloudflare from 16 KB), with 414.
 */
const MAX_URL_LENGTH = 65_534;

/** The maximum number of redirects that are followed, as in the Fetch standard. */
const MAX_REDIRECTS = 20;

/** Statuses whose `location` is followed (Fetch standard, "redirect status"). */
const REDIRECTS = [301, 302, 303, 307, 308];

/** Headers that describe a body and are dropped with it (Fetch standard, "request-body-header name"). */
const BODY_HEADERS = ["content-encoding", "content-language", "content-location", "content-type", "content-length"];

/** Headers by their names in lower case. The runtime reads them from such an object at half the cost of `Headers`. */
export type HeaderRecord = Record<string, string>;

const NONE: HeaderRecord = Object.freeze({});

/** A request whose URL has been checked. */
export interface ProjectRequest {
  /** The first argument of `fetch`: the normalized URL, or a request that contains it. */
  readonly target: string | Request;
  /** The URL of `target`, as it was checked. */
  readonly url: string;
  readonly method: string;
  /** Its headers, without the credentials. */
  readonly headers: HeaderRecord;
  readonly signal: AbortSignal | undefined;
  readonly redirect: RequestRedirect;
  /** The other options of the call. */
  readonly init: RequestInit | undefined;
}

/** A response, and its origin. */
export interface ProjectResponse {
  readonly response: Response;
  /** The URL that responded, after all redirects. */
  readonly url: string;
  readonly redirected: boolean;
}

/**
 * Returns the request that `fetch(input, init)` would send, with those `common` headers that it does not have. Its URL
 * is parsed once, so that what is checked is what is sent, even if it contains `..` or a `URL` object changes meanwhile.
 *
 * @param baseUrl The project's address, without a slash at its end.
 * @throws {ForeignAddressError} when it would leave the project.
 * @throws {UrlTooLongError} when its URL cannot be sent.
 */
export function projectRequest(
  input: RequestInfo | URL,
  init: RequestInit | undefined,
  baseUrl: string,
  common: HeaderRecord = NONE,
): ProjectRequest {
  if (input instanceof Request) {
    const request = new Request(input, init);
    const { method, headers, signal, redirect } = request;
    const url = assertWithinProject(request.url, undefined, baseUrl);
    return { target: request, url, method, headers: headersOf(headers, common), signal, redirect, init: undefined };
  }
  const url = assertWithinProject(String(input), undefined, baseUrl);
  if (url.length > MAX_URL_LENGTH) throw new UrlTooLongError(url.length, MAX_URL_LENGTH);
  const method = (init?.method ?? "GET").toUpperCase();
  const redirect = init?.redirect ?? "follow";
  const signal = init?.signal ?? undefined;
  return { target: url, url, method, headers: headersOf(init?.headers, common), signal, redirect, init };
}

/** Returns a new object with `headers`, and with those of `common` that are not among them. */
function headersOf(headers: HeadersInit | undefined, common: HeaderRecord): HeaderRecord {
  if (headers === undefined) return { ...common };
  // A list may name a header twice, and so may an object in upper and lower case: `Headers` combine them.
  const plain = !(headers instanceof Headers) && !(Symbol.iterator in headers);
  // Read once: what is checked is what is sent.
  const own: HeaderRecord | Headers = plain ? { ...headers } : new Headers(headers);
  if (!(own instanceof Headers) && Object.keys(own).every(isLowerCase)) return { ...common, ...own };
  return { ...common, ...Object.fromEntries(new Headers(own)) };
}

function isLowerCase(name: string): boolean {
  return name === name.toLowerCase();
}

/** Returns `headers` with the credentials of a lease. */
function withCredentials(headers: HeaderRecord, { apikey, authorization, mayOverride }: Credentials): HeaderRecord {
  const all: HeaderRecord = { ...headers, apikey };
  if (mayOverride && Object.hasOwn(all, "authorization")) return all;
  if (authorization !== undefined) all.authorization = authorization;
  else if (Object.hasOwn(all, "authorization")) delete all.authorization;
  return all;
}

/** A request, and the means to send it. */
export interface Sending {
  readonly request: ProjectRequest;
  readonly credentials: Credentials;
  readonly signal: AbortSignal;
  /** The project's URL, without a slash at its end. */
  readonly baseUrl: string;
  readonly send: typeof fetch;
}

/**
 * Sends `request` and follows redirects within the project. When the runtime
 * follows a redirect to another origin, it removes only `authorization`: the
 * `apikey` would be sent there.
 *
 * Method and body change as the Fetch standard says (section 4.4, HTTP-redirect
 * fetch). The caller's `redirect: "manual"` gets the redirect itself.
 *
 * @throws {ForeignAddressError} when a redirect would leave the project.
 * @throws {RedirectError} when a redirect cannot be followed, or must not be (`redirect: "error"`).
 */
export async function fetchWithinProject(
  { request, credentials, signal, baseUrl, send }: Sending,
): Promise<ProjectResponse> {
  let { target, url, method } = request;
  let body = request.init?.body ?? null;
  let { headers } = request;
  for (let redirects = 0;; redirects++) {
    // For each redirect again: a `send` of the caller may change the object it gets.
    const completed = withCredentials(headers, credentials);
    const sent = send === globalFetch ? completed : new Headers(completed);
    const bound: RequestInit = { headers: sent, signal, redirect: "manual" };
    const response = await (target instanceof Request
      ? send(target, bound)
      : send(target, { ...request.init, ...bound, method, body }));
    if (signal.aborted) {
      // Sent by a function that ignores signals: the response is not waited for any more.
      response.body?.cancel().catch(() => {});
      throw signal.reason;
    }
    const location = REDIRECTS.includes(response.status) ? response.headers.get("location") : null;
    if (location === null || request.redirect === "manual") {
      return { response, url, redirected: redirects > 0 };
    }

    // Its body is not used, and canceling it is not waited for.
    response.body?.cancel().catch(() => {});
    if (request.redirect === "error") {
      throw new RedirectError('the call does not allow redirects (redirect: "error")');
    }
    if (redirects === MAX_REDIRECTS) {
      throw new RedirectError(`more than ${MAX_REDIRECTS} redirects`);
    }
    // Read only now: a Request whose body was read before is sent without its length.
    if (target instanceof Request) {
      body = target.body;
    }
    url = target = assertWithinProject(location, url, baseUrl);
    headers = { ...headers };
    const toGet = response.status === 303
      ? method !== "GET" && method !== "HEAD"
      : response.status <= 302 && method === "POST";
    if (toGet) {
      method = "GET";
      body = null;
      for (const name of BODY_HEADERS) {
        delete headers[name];
      }
    } else if (body instanceof ReadableStream) {
      throw new RedirectError("the body is a stream, which cannot be sent twice: pass bytes, text or a Blob");
    }
  }
}

/** Returns `address` as a normalized URL within the project; throws a `ForeignAddressError` if it is outside. */
function assertWithinProject(address: string, from: string | undefined, baseUrl: string): string {
  const href = URL.parse(address, from)?.href ?? "";
  if (!href.startsWith(`${baseUrl}/`)) throw new ForeignAddressError(from === undefined ? "this call" : "a redirect");
  return href;
}
