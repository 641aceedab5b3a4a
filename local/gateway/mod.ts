/**
 * The gateway: the address of the stack, on loopback.
 *
 * @module
 */
import { messageOf } from "../../shared/resilience/mod.ts";
import type { DataApi } from "../data_api/mod.ts";
import { LOOPBACK, portError } from "../ports.ts";
import { problem } from "../problem.ts";
import { allowOrigin, preflight } from "./cors.ts";
import { exemptLoopback, forward, MalformedRequestError } from "./proxy.ts";
import { isOwnHost, routeOf } from "./route.ts";
import { type FunctionBackends, toFunction } from "./to_function.ts";
import { isWebSocketRequest } from "./websocket.ts";

/** The parts behind the gateway. */
export interface Backends extends FunctionBackends {
  /** The Data API, Auth and Storage. */
  readonly dataApi: DataApi;
}

const SHUTDOWN_MS = 5_000;

/** Creates the response of a service that the local stack does not have. */
function absent(service: string): Response {
  const detail = `${service} is not part of the local stack. Use a hosted project instead.`;
  return problem({
    status: 501,
    code: "NOT_LOCAL",
    title: "Not implemented",
    detail,
    // Clients of these services read one of these members.
    members: { message: detail, error: detail },
  });
}

/** Methods that `fetch` cannot send: a server should not reflect requests, and the gateway is no proxy. */
const UNSUPPORTED = ["CONNECT", "TRACE", "TRACK"];
/** The limit that Cloudflare, in front of hosted projects, documents: 32 KB. The server itself responds 400 to more than 65,534. */
const MAX_URL_LENGTH = 32_768;
const METHODS = "GET, HEAD, POST, PUT, PATCH, DELETE, OPTIONS";

function badRequest(detail: string): Response {
  return problem({ status: 400, code: "BAD_REQUEST", title: "Bad request", detail });
}

/** Routes requests to functions, the Data API, Auth and Storage. */
export class Gateway {
  readonly #server: Deno.HttpServer<Deno.NetAddr>;
  readonly #allowedHosts: readonly string[];
  #backends: Backends | undefined;

  /**
   * Starts to listen. The gateway responds 503 until {@linkcode connect}.
   *
   * @param port The port; 0 for a free one.
   * @param allowedHosts Names that requests may use beside those of this machine, with or without a port. Default: none.
   * @throws {StackError} `PORT_TAKEN` or `PORT_FORBIDDEN`.
   */
  constructor(port: number, allowedHosts: readonly string[] = []) {
    this.#allowedHosts = allowedHosts;
    exemptLoopback();
    try {
      this.#server = Deno.serve({
        hostname: LOOPBACK,
        port,
        // Bodies pass as they are, and events at once.
        automaticCompression: false,
        onListen: () => {},
        onError: (error) =>
          error instanceof MalformedRequestError
            ? badRequest(messageOf(error))
            : problem({ status: 502, code: "BAD_GATEWAY", title: "Bad gateway", detail: messageOf(error) }),
        handler: (request, info) => this.#handle(request, info),
      });
    } catch (error) {
      throw portError(error, port, "--port");
    }
  }

  /** The port that it listens on. */
  get port(): number {
    return this.#server.addr.port;
  }

  /** The URL of the gateway, without a trailing slash. */
  get url(): string {
    return `http://${LOOPBACK}:${this.port}`;
  }

  /** Sets the parts to route requests to. */
  connect(backends: Backends): void {
    this.#backends = backends;
  }

  /** Stops accepting requests, and waits for those in flight for at most 5 s. */
  async stop(): Promise<void> {
    const timer = Promise.withResolvers<void>();
    const id = setTimeout(timer.resolve, SHUTDOWN_MS);
    await Promise.race([this.#server.shutdown(), timer.promise]);
    clearTimeout(id);
  }

  async #handle(request: Request, info: Deno.ServeHandlerInfo<Deno.NetAddr>): Promise<Response> {
    if (UNSUPPORTED.includes(request.method)) {
      return problem({
        status: 405,
        code: "METHOD_NOT_ALLOWED",
        title: "Method not allowed",
        detail: `The gateway does not forward ${request.method}.`,
        headers: { allow: METHODS },
      });
    }
    const refused = this.#checkHost(request.headers.get("host"));
    if (refused) return refused;
    let url: URL;
    try {
      url = new URL(request.url);
    } catch {
      return badRequest("The target of the request is not a valid URL.");
    }
    const misdirected = this.#checkHost(url.host);
    if (misdirected) return misdirected;
    if (request.url.length > MAX_URL_LENGTH) {
      await request.body?.cancel();
      return problem({
        status: 414,
        code: "URL_TOO_LONG",
        title: "URI too long",
        detail:
          `The URL has ${request.url.length} characters, of which hosted projects accept ${MAX_URL_LENGTH}: send ` +
          "the values in the body of a POST request, for example to a database function.",
      });
    }
    const route = routeOf(url.pathname);
    if (route.to === "nowhere") return this.#notFound(`Path not found: ${url.pathname}.`);
    if (route.to === "absent") return preflight(request) ?? absent(route.service);
    if (!this.#backends) {
      return problem({
        status: 503,
        code: "STARTING",
        title: "Not ready",
        detail: "The stack is starting.",
        retryAfterS: 1,
      });
    }
    try {
      if (route.to === "function") {
        const { name } = route;
        const path = route.path + url.search;
        return await toFunction({ request, completed: info.completed, name, path }, this.#backends) ??
          preflight(request) ?? this.#notFound(`Function "${name}" not found.`);
      }
      if (isWebSocketRequest(request)) {
        await request.body?.cancel();
        return problem({
          status: 501,
          code: "WEBSOCKET_UNSUPPORTED",
          title: "Not implemented",
          detail: "This part of the local stack has no WebSockets: only functions do.",
        });
      }
      return await this.#toData(request, route.path + url.search, this.#backends.dataApi);
    } catch (error) {
      // The client has disconnected.
      if (request.signal.aborted) return new Response(null, { status: 499 });
      throw error;
    }
  }

  #checkHost(host: string | null): Response | undefined {
    if (host === null || isOwnHost(host, this.port, this.#allowedHosts)) return undefined;
    return problem({
      status: 421,
      code: "HOST_REFUSED",
      title: "Misdirected request",
      detail:
        `Use localhost:${this.port} or ${LOOPBACK}:${this.port}: the local stack accepts no other host. To accept ` +
        "one, such as 10.0.2.2 for an emulator, start it with --allow-host <host>.",
    });
  }

  async #toData(request: Request, path: string, dataApi: DataApi): Promise<Response> {
    const response = preflight(request);
    if (response) return response;
    const target = dataApi.target;
    const unavailable = () =>
      problem({
        status: 503,
        code: "DATA_API_UNAVAILABLE",
        title: "Service unavailable",
        detail: "The Data API is restarting.",
        retryAfterS: 1,
      });
    if (!target) return unavailable();
    try {
      const forwarded = await forward(request, target, path, {});
      // A link in a mail signs a user in: no page of another origin may read it.
      return path.startsWith("/mail") ? forwarded : allowOrigin(forwarded);
    } catch (error) {
      if (request.signal.aborted || error instanceof MalformedRequestError) throw error;
      return unavailable();
    }
  }

  #notFound(detail: string): Response {
    const functions = this.#backends?.functions.names ?? [];
    return problem({
      status: 404,
      code: "NOT_FOUND",
      title: "Not found",
      detail,
      members: {
        routes: [
          ...functions.map((name) => `/functions/v1/${name}/`),
          ...(functions.includes("health") ? ["/health/pool"] : []),
          "/rest/v1/",
          "/auth/v1/",
          "/storage/v1/",
          "/mail",
        ],
      },
    });
  }
}
