/**
 * Passing a request on to a child, and its answer back, bodies streamed both
 * ways.
 *
 * @module
 */
import { TOKEN_HEADER } from "../control.ts";
import { LOOPBACK } from "../ports.ts";

/** Where a request goes on to. */
export interface Target {
  /** Loopback port. */
  readonly port: number;
  /** What proves that it comes from us. */
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
 * Sends `request` to `target` and gives back its answer. When the caller goes
 * away, the call to the target is aborted.
 *
 * @param path Path and query at the target.
 * @param extra Headers to add.
 * @throws What `fetch` throws when the target cannot be reached or breaks off before its answer.
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
  // Compressing for the caller is the gateway's own server's work; between us it would be undone at once.
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
  const answer = withoutHopByHop(response.headers);
  if (answer.has("content-encoding")) {
    // fetch has decoded it.
    answer.delete("content-encoding");
    answer.delete("content-length");
  }
  return new Response(response.body, { status: response.status, statusText: response.statusText, headers: answer });
}

/** Keeps calls to ourselves away from a proxy that the environment names. */
export function exemptLoopback(): void {
  for (const name of ["NO_PROXY", "no_proxy"]) {
    const listed = (Deno.env.get(name) ?? "").split(",").filter(Boolean);
    const missing = [LOOPBACK, "localhost"].filter((host) => !listed.includes(host));
    if (missing.length > 0) Deno.env.set(name, [...listed, ...missing].join(","));
  }
}
