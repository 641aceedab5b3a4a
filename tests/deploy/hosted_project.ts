/**
 * A hosted project, from the point of view of its callers: one address, with the functions
 * under `/functions/v1/` and the Data API and Auth beside them.
 *
 * @module
 */
import { SignJWT } from "jose";
import { ORIGIN_HEADER } from "../../local/functions/protocol.ts";
import { forward } from "../../local/gateway/proxy.ts";
import type { Stack } from "../../local/mod.ts";
import type { HostedIsolate } from "./hosted_runtime.ts";

/** The function and project that a variable is for. */
export interface HostedNames {
  /** The project's reference. */
  readonly ref: string;
  /** The number of deployments of the function. */
  readonly version: number;
}

/** Creates a legacy key, as projects have them beside publishable and secret keys. */
async function legacyKey(role: string, { jwtSecret }: Pick<Stack, "jwtSecret">, ref: string): Promise<string> {
  return await new SignJWT({ role, ref })
    .setProtectedHeader({ alg: "HS256", typ: "JWT" })
    .setIssuer("supabase").setIssuedAt().setExpirationTime("10y")
    .sign(new TextEncoder().encode(jwtSecret));
}

/**
 * Every variable that a hosted function has, and none besides:
 * https://supabase.com/docs/guides/functions/secrets
 *
 * @param jwks The project's public keys.
 */
export async function hostedEnvironment(
  stack: Pick<Stack, "dbUrl" | "publishableKey" | "secretKey" | "jwtSecret">,
  url: string,
  { ref, version }: HostedNames,
  jwks: Readonly<Record<string, unknown>>,
): Promise<Record<string, string>> {
  return {
    SUPABASE_URL: url,
    SUPABASE_DB_URL: stack.dbUrl,
    SUPABASE_PUBLISHABLE_KEYS: JSON.stringify({ default: stack.publishableKey }),
    SUPABASE_SECRET_KEYS: JSON.stringify({ default: stack.secretKey }),
    SUPABASE_JWKS: JSON.stringify(jwks),
    SUPABASE_ANON_KEY: await legacyKey("anon", stack, ref),
    SUPABASE_SERVICE_ROLE_KEY: await legacyKey("service_role", stack, ref),
    SB_REGION: "eu-central-1",
    SB_EXECUTION_ID: crypto.randomUUID(),
    DENO_DEPLOYMENT_ID: `${ref}_${crypto.randomUUID()}_${version}`,
  };
}

/** The address of a project. */
export class HostedProject implements AsyncDisposable {
  readonly #server: Deno.HttpServer<Deno.NetAddr>;
  readonly #backend: number;
  /** Its functions, by name. */
  readonly functions = new Map<string, HostedIsolate>();

  /** @param stack The stack with the Data API and Auth. */
  constructor(stack: Pick<Stack, "url">) {
    this.#backend = Number(new URL(stack.url).port);
    this.#server = Deno.serve(
      { hostname: "127.0.0.1", port: 0, onListen: () => {} },
      (request) => this.#route(request),
    );
  }

  /** The URL, without a trailing slash. */
  get url(): string {
    return `http://127.0.0.1:${this.#server.addr.port}`;
  }

  async #route(request: Request): Promise<Response> {
    const { pathname, search, origin } = new URL(request.url);
    const [, path, name] = /^\/functions\/v1(\/([^/]+).*)$/.exec(pathname) ?? [];
    if (path === undefined || name === undefined) {
      return await forward(request, { port: this.#backend, token: "" }, pathname + search, {});
    }
    const isolate = this.functions.get(name);
    if (!isolate) {
      return Response.json({ code: "NOT_FOUND", message: "Requested function was not found" }, { status: 404 });
    }
    return await forward(request, isolate, path + search, { [ORIGIN_HEADER]: origin });
  }

  /** Closes the project. The functions keep running. */
  async [Symbol.asyncDispose](): Promise<void> {
    await this.#server.shutdown();
  }
}
