/**
 * Runs the handlers of modules in one process: reads the modules and the requests to each from standard input, as JSON,
 * and writes the responses.
 *
 * @module
 */

/** A request. */
export interface HandlerRequest {
  readonly method?: string;
  readonly headers?: Readonly<Record<string, string>>;
  readonly body?: string;
}

/** A module, and the requests to its handler. */
export interface HandlerRun {
  /** URL. */
  readonly module: string;
  readonly requests: readonly HandlerRequest[];
}

/** A response. */
export interface HandlerResponse {
  readonly status: number;
  readonly body: string;
  readonly headers: Readonly<Record<string, string>>;
}

type Handler = (request: Request) => Response | Promise<Response>;

async function respond(handler: Handler, { method, headers, body }: HandlerRequest): Promise<HandlerResponse> {
  const init = { ...method && { method }, ...headers && { headers }, ...body !== undefined && { body } };
  try {
    const response = await handler(new Request("http://localhost/notes", init));
    return { status: response.status, body: await response.text(), headers: Object.fromEntries(response.headers) };
  } catch {
    // As the runtime responds to what a handler throws.
    return { status: 500, body: "Internal Server Error", headers: {} };
  }
}

if (import.meta.main) {
  const runs: HandlerRun[] = JSON.parse(await new Response(Deno.stdin.readable).text());
  const results: HandlerResponse[][] = [];
  for (const { module, requests } of runs) {
    let handler: Handler | undefined;
    Object.assign(Deno, { serve: (value: Handler) => void (handler = value) });
    const { default: exported } = await import(module);
    handler = exported?.fetch ?? handler;
    if (!handler) throw new Error(`${module} serves no handler`);
    const responses: HandlerResponse[] = [];
    for (const request of requests) responses.push(await respond(handler, request));
    results.push(responses);
  }
  console.log(JSON.stringify(results));
  Deno.exit(0);
}
