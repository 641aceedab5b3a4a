/**
 * The server of the page, on loopback.
 *
 * @module
 */
import { isOwnHost } from "../gateway/route.ts";
import { LOOPBACK, portError } from "../ports.ts";
import { problem } from "../problem.ts";
import { Feed, type FeedOptions } from "./feed.ts";
import { Upstream, type UpstreamOptions } from "./upstream.ts";

/** The files of the page, by path. */
const FILES: Readonly<Record<string, readonly [file: string, type: string]>> = {
  "/": ["index.html", "text/html; charset=utf-8"],
  "/page.css": ["page.css", "text/css; charset=utf-8"],
  "/page.js": ["page.js", "text/javascript; charset=utf-8"],
  "/charts.js": ["charts.js", "text/javascript; charset=utf-8"],
  "/format.js": ["format.js", "text/javascript; charset=utf-8"],
  "/icon.svg": ["icon.svg", "image/svg+xml"],
};

/** The page runs its own files only, and talks to this server only. */
const HEADERS: Readonly<Record<string, string>> = {
  "content-security-policy":
    "default-src 'none'; script-src 'self'; style-src 'self'; img-src 'self'; connect-src 'self'; base-uri 'none'; " +
    "form-action 'none'; frame-ancestors 'none'; require-trusted-types-for 'script'; trusted-types 'none'",
  "cache-control": "no-store",
  "cross-origin-opener-policy": "same-origin",
  "cross-origin-resource-policy": "same-origin",
  "permissions-policy": "camera=(), geolocation=(), microphone=()",
  "referrer-policy": "no-referrer",
  "x-content-type-options": "nosniff",
  "x-frame-options": "DENY",
};

/** Maximum length of the name of a function in a query, in characters: names of the fleet are shorter. */
const MAX_NAME = 200;

/** Creates a problem that no page of another origin can read. */
function refuse(
  status: number,
  code: string,
  title: string,
  detail: string,
  more: Record<string, string> = {},
): Response {
  const response = problem({ status, code, title, detail, headers: { ...HEADERS, ...more } });
  response.headers.delete("access-control-allow-origin");
  return response;
}

/** Options for {@linkcode startDashboard}. */
export interface DashboardOptions extends UpstreamOptions, FeedOptions {
  /** The port; 0 for a free one. */
  readonly port: number;
}

/** A running dashboard. */
export interface Dashboard extends AsyncDisposable {
  /** The address of the page. */
  readonly url: string;
  /** Stops the server, and aborts what is in flight. */
  stop(): Promise<void>;
}

/** Responds to one request. */
async function respond(request: Request, port: number, feed: Feed): Promise<Response> {
  const url = URL.parse(request.url);
  const host = request.headers.get("host") ?? "";
  // A page whose own name resolves to 127.0.0.1 sends that name.
  if (!isOwnHost(host, port) || !url || !isOwnHost(url.host, port)) {
    const detail = `Use localhost:${port} or ${LOOPBACK}:${port}: the dashboard accepts no other host.`;
    return refuse(421, "HOST_REFUSED", "Misdirected request", detail);
  }
  const origin = request.headers.get("origin");
  const site = request.headers.get("sec-fetch-site") ?? "none";
  const isNavigation = request.headers.get("sec-fetch-mode") === "navigate";
  if (
    (origin !== null && origin !== `http://${host}`) || (!isNavigation && site !== "same-origin" && site !== "none")
  ) {
    return refuse(403, "ORIGIN_REFUSED", "Forbidden", "The dashboard responds to its own page only.");
  }
  if (request.method !== "GET" && request.method !== "HEAD") {
    return refuse(405, "METHOD_NOT_ALLOWED", "Method not allowed", "The dashboard only reads.", { allow: "GET, HEAD" });
  }
  const send = (body: BodyInit, type: string) =>
    new Response(request.method === "HEAD" ? null : body, { headers: { ...HEADERS, "content-type": type } });
  if (url.pathname === "/data") {
    const selected = (url.searchParams.get("function") ?? "").slice(0, MAX_NAME);
    return send(JSON.stringify(await feed.read(selected)), "application/json");
  }
  // A path has a slash, which no member of an object has.
  const file = FILES[url.pathname];
  if (!file) return refuse(404, "NOT_FOUND", "Not found", "The dashboard has one page: /");
  return send(await Deno.readFile(new URL(`./page/${file[0]}`, import.meta.url)), file[1]);
}

/**
 * Starts the dashboard of a project on 127.0.0.1. It polls the project only while pages ask for data.
 *
 * @throws {StackError} `PORT_TAKEN` or `PORT_FORBIDDEN`.
 */
export function startDashboard(options: DashboardOptions): Dashboard {
  const ended = new AbortController();
  const feed = new Feed(new Upstream({ ...options, signal: ended.signal }), options);
  let server: Deno.HttpServer<Deno.NetAddr>;
  try {
    server = Deno.serve({
      hostname: LOOPBACK,
      port: options.port,
      signal: ended.signal,
      onListen: () => {},
      onError: () => refuse(500, "DASHBOARD_FAILED", "Internal error", "The dashboard failed: start it again."),
      handler: (request) => respond(request, server.addr.port, feed),
    });
  } catch (error) {
    throw portError(error, options.port, "--port");
  }
  const stop = async () => {
    ended.abort();
    await server.finished;
  };
  return { url: `http://${LOOPBACK}:${server.addr.port}/`, stop, [Symbol.asyncDispose]: stop };
}
