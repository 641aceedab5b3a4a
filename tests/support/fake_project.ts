/**
 * A fake of a Supabase project's HTTP interface that records requests.
 *
 * @module
 */

/** A request that the fake received. */
export interface RecordedRequest {
  readonly method: string;
  readonly path: string;
  readonly apikey: string | null;
  readonly authorization: string | null;
  readonly headers: Headers;
}

/** A loopback server that acts as a project. */
export interface FakeProject extends AsyncDisposable {
  readonly url: string;
  readonly requests: RecordedRequest[];
  /** The number of requests in flight, and its maximum. */
  readonly load: { now: number; most: number };
  /** Creates the responses from now on. Default: an empty list. */
  answer: (request: Request) => Response | Promise<Response>;
}

/** Starts a fake on a free loopback port. */
export function startFakeProject(): FakeProject {
  const requests: RecordedRequest[] = [];
  const load = { now: 0, most: 0 };
  const closing = Promise.withResolvers<void>();
  const server = Deno.serve({ hostname: "127.0.0.1", port: 0, onListen() {} }, async (request) => {
    const { pathname, search } = new URL(request.url);
    requests.push({
      method: request.method,
      path: pathname + search,
      apikey: request.headers.get("apikey"),
      authorization: request.headers.get("authorization"),
      headers: request.headers,
    });
    load.most = Math.max(load.most, ++load.now);
    try {
      // A response that never settles must not keep the server from closing.
      const closed = closing.promise.then(() => new Response(null, { status: 503 }));
      return await Promise.race([project.answer(request), closed]);
    } finally {
      load.now--;
    }
  });
  const project: FakeProject = {
    url: `http://127.0.0.1:${server.addr.port}`,
    requests,
    load,
    answer: () => Response.json([]),
    async [Symbol.asyncDispose]() {
      closing.resolve();
      await server.shutdown();
    },
  };
  return project;
}

const base64url = (value: unknown) =>
  btoa(JSON.stringify(value)).replaceAll("+", "-").replaceAll("/", "_").replaceAll("=", "");

/** Creates a user token without a valid signature. */
export function userToken(sub: string, claims: Record<string, unknown> = {}): string {
  const exp = Math.floor(Date.now() / 1_000) + 3_600;
  return `${base64url({ alg: "HS256" })}.${base64url({ sub, role: "authenticated", exp, ...claims })}.c2lnbmF0dXJl`;
}
