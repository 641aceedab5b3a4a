/**
 * The gateway: the address of the stack, on loopback.
 *
 * @module
 */
import { messageOf } from "../../shared/resilience/mod.ts";
import type { DataApi } from "../data_api/mod.ts";
import { FunctionUnavailableError, type RunningFunction } from "../functions/isolate.ts";
import type { Functions } from "../functions/mod.ts";
import { ORIGIN_HEADER } from "../functions/protocol.ts";
import { LOOPBACK, portError } from "../ports.ts";
import { problem } from "../problem.ts";
import { allowOrigin, preflight } from "./cors.ts";
import { exemptLoopback, forward } from "./proxy.ts";
import { isOwnHost, type Route, routeOf } from "./route.ts";

/** The parts behind the gateway. */
export interface Backends {
  /** The functions. */
  readonly functions: Functions;
  /** The Data API, Auth and Storage. */
  readonly dataApi: DataApi;
}

const CRASH_NOTICE_MS = 250;
const SHUTDOWN_MS = 5_000;

/** Creates the response of a service that the local stack does not have. */
function absent(service: string): Response {
  const detail = `${service} is not part of the local stack. Use a hosted project for it.`;
  return problem({
    status: 501,
    code: "NOT_LOCAL",
    title: "Not implemented",
    detail,
    // Clients of these services read one of these members.
    members: { message: detail, error: detail },
  });
}

/** Routes requests to functions, the Data API, Auth and Storage. */
export class Gateway {
  readonly #server: Deno.HttpServer<Deno.NetAddr>;
  #backends: Backends | undefined;

  /**
   * Starts to listen. The gateway responds 503 until {@linkcode connect}.
   *
   * @param port The port; 0 for a free one.
   * @throws {StackError} `PORT_TAKEN` or `PORT_FORBIDDEN`.
   */
  constructor(port: number) {
    exemptLoopback();
    try {
      this.#server = Deno.serve({
        hostname: LOOPBACK,
        port,
        onListen: () => {},
        onError: (error) =>
          problem({ status: 502, code: "BAD_GATEWAY", title: "Bad gateway", detail: messageOf(error) }),
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
    const url = new URL(request.url);
    const host = request.headers.get("host") ?? url.host;
    if (!isOwnHost(host, this.port)) {
      return problem({
        status: 421,
        code: "HOST_REFUSED",
        title: "Misdirected request",
        detail: `Use localhost:${this.port} or ${LOOPBACK}:${this.port}: the local stack accepts no other host.`,
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
    if (request.headers.get("upgrade")?.toLowerCase() === "websocket") {
      await request.body?.cancel();
      return problem({
        status: 501,
        code: "WEBSOCKET_UNSUPPORTED",
        title: "Not implemented",
        detail: "The local gateway does not support WebSockets.",
      });
    }
    try {
      return route.to === "data"
        ? await this.#toData(request, route.path + url.search, this.#backends.dataApi)
        : await this.#toFunction(request, info, route, url.search, this.#backends.functions);
    } catch (error) {
      // The client has disconnected.
      if (request.signal.aborted) return new Response(null, { status: 499 });
      throw error;
    }
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
      if (request.signal.aborted) throw error;
      return unavailable();
    }
  }

  async #toFunction(
    request: Request,
    info: Deno.ServeHandlerInfo<Deno.NetAddr>,
    { name, path }: Extract<Route, { to: "function" }>,
    search: string,
    functions: Functions,
  ): Promise<Response> {
    const isolate = functions.get(name);
    if (!isolate) return this.#notFound(`Function "${name}" not found.`);
    let running: RunningFunction;
    try {
      running = await isolate.acquire();
    } catch (error) {
      if (!(error instanceof FunctionUnavailableError)) throw error;
      return problem({
        status: 503,
        code: error.code,
        title: `The function "${name}" is unavailable`,
        detail: error.message,
        retryAfterS: 1,
      });
    }
    running.inFlight++;
    info.completed.catch(() => {}).finally(() => running.inFlight--);
    try {
      return await forward(request, running.child, path + search, { [ORIGIN_HEADER]: new URL(request.url).origin });
    } catch (error) {
      if (request.signal.aborted) throw error;
      const ended = await running.child.endedWithin(CRASH_NOTICE_MS);
      return problem({
        status: 503,
        code: ended === undefined ? "FUNCTION_BROKE_OFF" : "FUNCTION_CRASHED",
        title: `The function "${name}" ${ended === undefined ? "closed the connection" : "crashed"}`,
        detail: ended || messageOf(error),
        retryAfterS: 1,
      });
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
