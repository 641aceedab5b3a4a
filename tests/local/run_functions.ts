/**
 * Runs functions in one process, and records what each sends to its project: reads the modules and the requests from
 * standard input, as JSON, and writes the responses.
 *
 * @module
 */

/** The modules to run, and the requests to each. */
export interface FunctionRuns {
  /** URLs. */
  readonly modules: readonly string[];
  readonly requests: readonly FunctionRequest[];
  /** The names of tokens, by token. */
  readonly names: Readonly<Record<string, string>>;
}

/** A request. */
export interface FunctionRequest {
  readonly method: string;
  readonly headers: Readonly<Record<string, string>>;
  readonly body?: string;
}

/** A response, and the calls to the project until shortly after it. */
export interface FunctionResponse {
  readonly status: number;
  readonly body: string;
  readonly allowOrigin: string | undefined;
  /** The method and the path of each call, and the party that it acts for; sorted. */
  readonly calls: readonly string[];
}

type Handler = (request: Request) => Response | Promise<Response>;

/** Responds as a project: each caller sees its own notes. */
function respondAs(party: string, method: string, path: string): Response {
  if (path === "/auth/v1/user") {
    if (!party.startsWith("user")) return Response.json({ error_code: "bad_jwt", msg: "invalid JWT" }, { status: 403 });
    return Response.json({ id: party, aud: "authenticated", role: "authenticated" });
  }
  if (path.startsWith("/functions/v1/")) return Response.json({ called: party });
  if (!path.startsWith("/rest/v1/")) return Response.json({ message: "Not found" }, { status: 404 });
  if (party === "unknown") return Response.json({ code: "PGRST301", message: "No key" }, { status: 401 });
  if (method === "POST") return new Response(null, { status: 201 });
  return Response.json([{ id: party }]);
}

/** Answers every call in place of the network, and returns the calls since the last time it was asked. */
function recordCalls(names: Readonly<Record<string, string>>): () => string[] {
  let calls: string[] = [];
  globalThis.fetch = async (input, init) => {
    const request = new Request(input, init);
    await request.arrayBuffer();
    const header = request.headers.get("authorization");
    const key = header?.replace(/^Bearer /i, "") || (request.headers.get("apikey") ?? "");
    const party = header !== null && !/^Bearer /i.test(header) ? "unknown" : names[key] ?? "unknown";
    const { pathname } = new URL(request.url);
    calls.push(`${request.method} ${pathname} as ${party}`);
    return respondAs(party, request.method, pathname);
  };
  return () => {
    const done = calls.sort();
    calls = [];
    return done;
  };
}

async function respond(
  handler: Handler,
  { method, headers, body }: FunctionRequest,
  callsOf: () => string[],
): Promise<FunctionResponse> {
  const init = { method, headers, ...body !== undefined && { body } };
  let result;
  try {
    const response = await handler(new Request("http://localhost/notes", init));
    const allowOrigin = response.headers.get("access-control-allow-origin") ?? undefined;
    result = { status: response.status, body: await response.text(), allowOrigin };
  } catch {
    // As the runtime responds to what a handler throws.
    result = { status: 500, body: "Internal Server Error", allowOrigin: undefined };
  }
  await new Promise((resolve) => setTimeout(resolve, 5));
  return { ...result, calls: callsOf() };
}

async function main(): Promise<void> {
  const { modules, requests, names }: FunctionRuns = JSON.parse(await new Response(Deno.stdin.readable).text());
  const callsOf = recordCalls(names);
  console.error = () => {};
  globalThis.addEventListener("unhandledrejection", (event) => event.preventDefault());
  const results: FunctionResponse[][] = [];
  for (const module of modules) {
    let handler: Handler | undefined;
    const serve = (first: Handler | { handler?: Handler }, second?: Handler) => {
      handler = typeof first === "function" ? first : first.handler ?? second;
    };
    Object.assign(Deno, { serve });
    const { default: exported } = await import(module);
    handler = exported?.fetch ?? handler;
    callsOf();
    if (!handler) throw new Error(`${module} serves no handler`);
    const responses: FunctionResponse[] = [];
    for (const request of requests) responses.push(await respond(handler, request, callsOf));
    results.push(responses);
  }
  console.log(JSON.stringify(results));
}

if (import.meta.main) {
  const { error } = console;
  await main().then(() => Deno.exit(0), (reason) => {
    error(reason);
    Deno.exit(1);
  });
}
