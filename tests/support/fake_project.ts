/**
 * A stand-in for a Supabase project's HTTP interface that writes down what
 * arrives.
 *
 * @module
 */

/** A request as it arrived. */
export interface Arrived {
  readonly method: string;
  readonly path: string;
  readonly apikey: string | null;
  readonly authorization: string | null;
  readonly headers: Headers;
}

/** A loopback server in a project's place. */
export interface FakeProject extends AsyncDisposable {
  readonly url: string;
  readonly requests: Arrived[];
  /** How many requests are being answered, and the most that ever were at once. */
  readonly load: { now: number; most: number };
  /** Answers from now on. Default: an empty list. */
  answer: (request: Request) => Response | Promise<Response>;
}

/** Starts a stand-in on a free loopback port. */
export function startFakeProject(): FakeProject {
  const requests: Arrived[] = [];
  const load = { now: 0, most: 0 };
  const over = Promise.withResolvers<void>();
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
      // An answer that a test holds for ever must not hold the server's end.
      const closed = over.promise.then(() => new Response(null, { status: 503 }));
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
      over.resolve();
      await server.shutdown();
    },
  };
  return project;
}

const base64url = (value: unknown) =>
  btoa(JSON.stringify(value)).replaceAll("+", "-").replaceAll("/", "_").replaceAll("=", "");

/** A token as a user of that name would have it. Its signature is none. */
export function userToken(sub: string, claims: Record<string, unknown> = {}): string {
  const exp = Math.floor(Date.now() / 1_000) + 3_600;
  return `${base64url({ alg: "HS256" })}.${base64url({ sub, role: "authenticated", exp, ...claims })}.c2lnbmF0dXJl`;
}
