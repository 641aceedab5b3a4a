/**
 * `Deno.serve` and the older ways to serve, as the hosted runtime has them: a
 * function has no port. The handler that it passes is the function.
 *
 * @module
 */

/** The address that the hosted runtime reports to a function. */
export const ADDRESS: Deno.NetAddr = { transport: "tcp", hostname: "0.0.0.0", port: 9999 };

/** A handler as `Deno.serve` takes it. */
export type Handler = (request: Request, info: Deno.ServeHandlerInfo<Deno.NetAddr>) => unknown;

/** A server that a function has opened. */
export interface OpenServer {
  /** Responds to a request. */
  readonly handler: Handler;
  /** Responds after the handler has thrown. */
  readonly onError?: ((error: unknown) => unknown) | undefined;
}

/** The servers that a function has opened. The first that is open receives the requests. */
export class Servers {
  readonly #open: OpenServer[] = [];
  readonly #opened = Promise.withResolvers<void>();

  /** Resolves when the function has opened its first server. */
  readonly opened: Promise<void> = this.#opened.promise;

  /** The server that receives the requests. */
  get current(): OpenServer | undefined {
    return this.#open[0];
  }

  /** Adds a server. */
  open(server: OpenServer): void {
    if (this.#open.length > 0) console.error("A second server was opened: the first one receives the requests.");
    this.#open.push(server);
    this.#opened.resolve();
  }

  /** Removes a server. */
  close(server: OpenServer): void {
    const at = this.#open.indexOf(server);
    if (at >= 0) this.#open.splice(at, 1);
  }

  /** Replaces `Deno.serve`, `Deno.listen` for TCP, and `Deno.serveHttp`. */
  install(): void {
    const listen = Deno.listen;
    const replacements = {
      serve: (...args: unknown[]) => this.#serve(args),
      listen: (options: Deno.TcpListenOptions & { transport?: "tcp" }) =>
        (options.transport ?? "tcp") === "tcp" ? new Listener(this) : listen(options),
      serveHttp: (connection: Connection) => connection.requests,
    };
    for (const [name, value] of Object.entries(replacements)) {
      Object.defineProperty(Deno, name, { value, configurable: true, enumerable: true, writable: true });
    }
  }

  #serve(args: readonly unknown[]): Deno.HttpServer<Deno.NetAddr> {
    const options =
      args.find((value): value is Record<string, unknown> => typeof value === "object" && value !== null) ??
        {};
    const handler = [...args, options.handler].find((value): value is Handler => typeof value === "function");
    if (!handler) throw new TypeError("A handler function must be provided.");
    const onError = typeof options.onError === "function" ? options.onError as OpenServer["onError"] : undefined;
    const server: OpenServer = { handler, onError };
    const { promise: finished, resolve } = Promise.withResolvers<void>();
    const shutdown = (): Promise<void> => {
      this.close(server);
      resolve();
      return finished;
    };
    this.open(server);
    if (options.signal instanceof AbortSignal) options.signal.addEventListener("abort", () => void shutdown());
    if (typeof options.onListen === "function") options.onListen(ADDRESS);
    return {
      finished,
      addr: ADDRESS,
      shutdown,
      ref: () => {},
      unref: () => {},
      [Symbol.asyncDispose]: shutdown,
    };
  }
}

/** An HTTP connection as `Deno.serveHttp` returned it. */
interface RequestEvent {
  readonly request: Request;
  respondWith(response: Response | Promise<Response>): Promise<void>;
}

/** One request as a connection, for servers that accept connections: those of `std/http` before Deno 2. */
class Connection {
  readonly localAddr: Deno.NetAddr = ADDRESS;
  readonly remoteAddr: Deno.NetAddr = ADDRESS;
  readonly requests: { nextRequest(): Promise<RequestEvent | null>; close(): void } & AsyncIterable<RequestEvent>;

  constructor(request: Request, respond: (response: Response | Promise<Response>) => void) {
    const done = Promise.withResolvers<null>();
    let event: RequestEvent | undefined = {
      request,
      respondWith: async (response) => {
        respond(response);
        await Promise.resolve(response).finally(() => done.resolve(null));
      },
    };
    const nextRequest = async (): Promise<RequestEvent | null> => {
      const next = event ?? await done.promise;
      event = undefined;
      return next;
    };
    this.requests = {
      nextRequest,
      close: () => done.resolve(null),
      async *[Symbol.asyncIterator]() {
        for (let next = await nextRequest(); next; next = await nextRequest()) yield next;
      },
    };
  }

  close(): void {
    this.requests.close();
  }
}

/** A TCP listener whose connections are the requests of the function. */
class Listener implements AsyncIterable<Connection> {
  readonly addr: Deno.NetAddr = ADDRESS;
  readonly #servers: Servers;
  readonly #server: OpenServer;
  readonly #waiting: Connection[] = [];
  readonly #accepting: PromiseWithResolvers<Connection>[] = [];
  #closed = false;

  constructor(servers: Servers) {
    this.#servers = servers;
    this.#server = {
      handler: (request) =>
        new Promise<Response>((resolve) => {
          const connection = new Connection(request, resolve);
          const next = this.#accepting.shift();
          if (next) next.resolve(connection);
          else this.#waiting.push(connection);
        }),
    };
    servers.open(this.#server);
  }

  async accept(): Promise<Connection> {
    if (this.#closed) throw new Deno.errors.BadResource("Listener has been closed");
    const connection = this.#waiting.shift();
    if (connection) return connection;
    const next = Promise.withResolvers<Connection>();
    this.#accepting.push(next);
    return await next.promise;
  }

  close(): void {
    this.#closed = true;
    this.#servers.close(this.#server);
    for (const next of this.#accepting.splice(0)) next.reject(new Deno.errors.BadResource("Listener has been closed"));
  }

  ref(): void {}
  unref(): void {}

  async *[Symbol.asyncIterator](): AsyncGenerator<Connection> {
    while (!this.#closed) yield await this.accept();
  }

  [Symbol.dispose](): void {
    this.close();
  }
}
