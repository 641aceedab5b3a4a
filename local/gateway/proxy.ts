/**
 * Forwards requests to child processes and streams their responses back.
 *
 * @module
 */
import { TOKEN_HEADER } from "../control.ts";
import { LOOPBACK } from "../ports.ts";

/** The child process that a request is forwarded to. */
export interface Target {
  /** The loopback port. */
  readonly port: number;
  /** The token that proves that a request comes from the gateway. */
  readonly token: string;
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

/**
 * Forwards `request` to `target` and returns its response. When the client
 * disconnects, the request to the target is aborted.
 *
 * @param path The path and query at the target.
 * @param extra Headers to add.
 * @throws {TypeError} If the target cannot be reached or closes the connection before its response.
 */
export async function forward(
  request: Request,
  target: Target,
  path: string,
  extra: Readonly<Record<string, string>>,
): Promise<Response> {
  const url = new URL(request.url);
  const headers = withoutHopByHop(request.headers);
  headers.delete("host");
  // The server of the gateway compresses for the client; a compressed response would be decoded here first.
  headers.set("accept-encoding", "identity");
  headers.set("x-forwarded-host", url.host);
  headers.set("x-forwarded-proto", "http");
  headers.set("x-forwarded-port", url.port || "80");
  headers.set("x-forwarded-for", LOOPBACK);
  headers.set(TOKEN_HEADER, target.token);
  for (const [name, value] of Object.entries(extra)) headers.set(name, value);
  const response = await fetch(`http://${LOOPBACK}:${target.port}${path}`, {
    method: request.method,
    headers,
    body: request.body,
    signal: request.signal,
    redirect: "manual",
  });
  const responseHeaders = withoutHopByHop(response.headers);
  if (responseHeaders.has("content-encoding")) {
    // fetch has decoded the body.
    responseHeaders.delete("content-encoding");
    responseHeaders.delete("content-length");
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
