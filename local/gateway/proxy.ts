/**
 * Forwards requests to child processes and streams their responses back.
 *
 * @module
 */
import { memberOf, messageOf } from "../../shared/resilience/mod.ts";
import { TOKEN_HEADER } from "../control.ts";
import { ENCODING_HEADER } from "../functions/protocol.ts";
import { LOOPBACK } from "../ports.ts";

/** The child process that a request is forwarded to. */
export interface Target {
  /** The loopback port. */
  readonly port: number;
  /** The token that proves that a request comes from the gateway. */
  readonly token: string;
}

/** A request whose body or handshake violates HTTP. */
export class MalformedRequestError extends Error {
  override name = "MalformedRequestError";
}

// RFC 9110, section 7.6.1: these concern one connection only.
const HOP_BY_HOP = [
  "connection",
  "keep-alive",
  "proxy-authenticate",
  "proxy-authorization",
  "proxy-connection",
  "te",
  "trailer",
  "transfer-encoding",
  "upgrade",
];

function withoutHopByHop(from: Headers): Headers {
  const headers = new Headers(from);
  for (const name of headers.get("connection")?.split(",") ?? []) {
    if (/^[\w!#$%&'*+.^`|~-]+$/.test(name.trim())) headers.delete(name.trim());
  }
  for (const name of HOP_BY_HOP) headers.delete(name);
  return headers;
}

/** Returns the headers to send to `target`, with those in `extra`. */
export function forwardedHeaders(
  request: Request,
  target: Target,
  extra: Readonly<Record<string, string>>,
): Headers {
  const url = new URL(request.url);
  const headers = withoutHopByHop(request.headers);
  headers.delete("host");
  for (const name of [...headers.keys()]) if (name.startsWith("x-stack-")) headers.delete(name);
  headers.set("x-forwarded-host", url.host);
  headers.set("x-forwarded-proto", "http");
  headers.set("x-forwarded-port", url.port || "80");
  headers.set("x-forwarded-for", LOOPBACK);
  headers.set(TOKEN_HEADER, target.token);
  for (const [name, value] of Object.entries(extra)) headers.set(name, value);
  return headers;
}

/** Returns whether `fetch` failed because the client's body could not be read: all other causes name the request. */
function isBodyError(error: unknown): boolean {
  const cause = memberOf(error, "cause");
  return cause !== undefined && !/error sending request|client error/.test(messageOf(cause));
}

/**
 * Forwards `request` to `target` and returns its response. When the client
 * disconnects, the request to the target is aborted.
 *
 * @param path The path and query at the target.
 * @param extra Headers to add.
 * @param signal Aborts the request to the target. Default: the signal of `request`.
 * @throws {TypeError} If the target cannot be reached or closes the connection before its response.
 * @throws {MalformedRequestError} If the body of the request violates HTTP.
 */
export async function forward(
  request: Request,
  target: Target,
  path: string,
  extra: Readonly<Record<string, string>>,
  signal: AbortSignal = request.signal,
): Promise<Response> {
  const headers = forwardedHeaders(request, target, extra);
  // The server of the gateway compresses for the client.
  headers.set("accept-encoding", "identity");
  let response: Response;
  try {
    response = await fetch(`http://${LOOPBACK}:${target.port}${path}`, {
      method: request.method,
      headers,
      // As it is: one that a reader holds keeps the connection of a client that has disconnected.
      body: request.body,
      signal,
      redirect: "manual",
    });
  } catch (error) {
    if (signal.aborted || request.body === null || !isBodyError(error)) throw error;
    throw new MalformedRequestError("The body of the request cannot be read.", { cause: error });
  }
  const responseHeaders = withoutHopByHop(response.headers);
  const encoding = responseHeaders.get(ENCODING_HEADER);
  if (encoding !== null) {
    responseHeaders.delete(ENCODING_HEADER);
    responseHeaders.set("content-encoding", encoding);
  }
  const { status, statusText } = response;
  return new Response(response.body, { status, statusText, headers: responseHeaders });
}

/** Excludes loopback addresses from the proxy that the environment names. */
export function exemptLoopback(): void {
  for (const name of ["NO_PROXY", "no_proxy"]) {
    const listed = (Deno.env.get(name) ?? "").split(",").filter(Boolean);
    const missing = [LOOPBACK, "localhost"].filter((host) => !listed.includes(host));
    if (missing.length > 0) Deno.env.set(name, [...listed, ...missing].join(","));
  }
}
