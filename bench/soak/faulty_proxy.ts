/**
 * A proxy in front of the gateway that can be slow, stall, and break responses.
 * It works on requests rather than bytes, because the gateway checks the `Host` header.
 *
 * @module
 */

/** A proxy to one server. */
export class FaultyProxy implements AsyncDisposable {
  /** The delay before each request and each response, in ms. Default: 0. */
  delayMs = 0;

  readonly #target: string;
  readonly #server: Deno.HttpServer<Deno.NetAddr>;
  readonly #open = new Set<AbortController>();
  #flowing: Promise<void> = Promise.resolve();
  #resume: (() => void) | undefined;

  /** Starts it on a free port. */
  constructor(target: string) {
    this.#target = target;
    this.#server = Deno.serve(
      { hostname: "127.0.0.1", port: 0, onListen: () => {}, onError: () => new Response(null, { status: 502 }) },
      (request) => this.#forward(request),
    );
  }

  /** Its URL, without a trailing slash. */
  get url(): string {
    return `http://127.0.0.1:${this.#server.addr.port}`;
  }

  /** Holds back all requests and responses until {@linkcode resume}. */
  stall(): void {
    if (this.#resume) return;
    const { promise, resolve } = Promise.withResolvers<void>();
    this.#flowing = promise;
    this.#resume = resolve;
  }

  /** Ends a stall. */
  resume(): void {
    this.#resume?.();
    this.#resume = undefined;
    this.#flowing = Promise.resolve();
  }

  /** Aborts the open requests: those without a response get 502, the bodies of the others break. */
  breakResponses(): void {
    for (const controller of this.#open) controller.abort(new Error("The connection was reset"));
  }

  async #pass(): Promise<void> {
    await this.#flowing;
    if (this.delayMs > 0) await new Promise((resolve) => setTimeout(resolve, this.delayMs));
  }

  async #forward(request: Request): Promise<Response> {
    await this.#pass();
    const controller = new AbortController();
    this.#open.add(controller);
    const leave = () => controller.abort(request.signal.reason);
    request.signal.addEventListener("abort", leave);
    const settle = () => {
      request.signal.removeEventListener("abort", leave);
      this.#open.delete(controller);
    };
    try {
      const { pathname, search } = new URL(request.url);
      const headers = new Headers(request.headers);
      headers.delete("host");
      const body = request.body === null ? null : await request.arrayBuffer();
      const { signal } = controller;
      const response = await fetch(`${this.#target}${pathname}${search}`, {
        method: request.method,
        headers,
        body,
        signal,
        redirect: "manual",
      });
      await this.#pass();
      const kept = new Headers(response.headers);
      // The body was decoded.
      for (const name of ["content-encoding", "content-length"]) kept.delete(name);
      if (!response.body) {
        settle();
        return new Response(null, { status: response.status, headers: kept });
      }
      const passed = new TransformStream<Uint8Array, Uint8Array>();
      response.body.pipeTo(passed.writable).then(settle, settle);
      return new Response(passed.readable, { status: response.status, headers: kept });
    } catch (error) {
      settle();
      throw error;
    }
  }

  async [Symbol.asyncDispose](): Promise<void> {
    this.resume();
    this.breakResponses();
    await this.#server.shutdown();
  }
}
