/**
 * The Data API while the database is available, and the responses of Supabase
 * while it is not.
 *
 * @module
 */
import { bearerOf, type Credentials } from "../auth/credentials.ts";
import type { Tokens } from "../auth/tokens.ts";
import { type DataApiConfig, LiteApp } from "./lite_app.ts";

const DRAIN_MS = 5_000;
const WARM_MS = 5_000;
// A server that shuts down reports it in its response and closes the connection a moment later.
const CLOSING_MS = 50;
// Longer than the connections of a crashed server take to break one after another.
const CRASH_MS = 200;

/** Creates the response of PostgREST. `PGRST000`: nothing was executed; `PGRST001`: the outcome is unknown. */
function unavailable(code: "PGRST000" | "PGRST001"): Response {
  const message = code === "PGRST000"
    ? "Database connection error. Retrying the connection."
    : "Database client error. Retrying the connection.";
  const body = { code, message, details: "The database does not accept connections.", hint: null };
  return Response.json(body, { status: 503, headers: { "retry-after": "1", "access-control-allow-origin": "*" } });
}

/** Creates the response of PostgREST to a token that no key of the project verifies. */
function unknownKey(): Response {
  const message = "No suitable key or wrong key type";
  return Response.json({
    code: "PGRST301",
    message,
    details: "None of the keys was able to decode the JWT",
    hint: null,
  }, {
    status: 401,
    headers: { "www-authenticate": `Bearer error="invalid_token", error_description="${message}"` },
  });
}

/** Handles requests to `/rest/v1`. */
export class DataApiService {
  readonly #config: DataApiConfig;
  readonly #tokens: Tokens;
  readonly #credentials: Credentials;
  readonly #database: { hostname: string; port: number };
  #app: LiteApp | undefined;
  #newApp: LiteApp | undefined;
  #connecting: Promise<LiteApp | undefined> | undefined;

  /** Creates the service; the first request connects to the database. */
  constructor(config: DataApiConfig, tokens: Tokens, credentials: Credentials) {
    this.#config = config;
    this.#tokens = tokens;
    this.#credentials = credentials;
    const url = new URL(config.databaseUrl);
    this.#database = { hostname: url.hostname, port: Number(url.port) };
  }

  /** Handles a request; never rejects. */
  async fetch(request: Request): Promise<Response> {
    const translated = await this.#translate(request);
    if (translated instanceof Response) {
      await request.body?.cancel();
      return translated;
    }
    return await this.#fetch(translated);
  }

  /**
   * Returns a request with the credentials that `@supabase/lite` accepts: new API keys, and tokens that are signed with
   * the shared secret.
   */
  async #translate(request: Request): Promise<Request | Response> {
    const headers = new Headers(request.headers);
    const key = headers.get("apikey");
    const kind = this.#credentials.kindOf(key);
    if (kind !== undefined) headers.set("apikey", this.#credentials.keyOf(kind));
    const bearer = bearerOf(headers);
    if (bearer !== undefined && bearer === key && kind !== undefined) {
      headers.set("authorization", `Bearer ${this.#credentials.keyOf(kind)}`);
    } else if (bearer !== undefined && /^[^.]+\.[^.]+\.[^.]*$/.test(bearer)) {
      const shared = await this.#tokens.toShared(bearer);
      if (shared === undefined) return unknownKey();
      headers.set("authorization", `Bearer ${shared}`);
    }
    return new Request(request, { headers });
  }

  async #fetch(request: Request): Promise<Response> {
    const app = this.#app ?? await this.#connect();
    if (!app) return unavailable("PGRST000");
    let response: Response | "lost";
    try {
      response = await app.fetch(request);
    } catch (error) {
      console.error(error);
      response = Response.json({ code: "XX000", message: "Internal error", details: null, hint: null }, {
        status: 500,
      });
    }
    if (response === "lost") return unavailable("PGRST001");
    // Lite responds 500 for a broken connection.
    if (response.status < 500 || !(await this.#broken(app))) return response;
    await response.body?.cancel();
    this.#retire(app);
    return unavailable("PGRST001");
  }

  /** Handles an uncaught error: it comes from a broken connection, whose requests would wait forever. */
  recover(): void {
    this.#newApp?.abandon();
    if (this.#app) this.#retire(this.#app);
  }

  async #broken(app: LiteApp): Promise<boolean> {
    if (!app.retired) await new Promise((resolve) => setTimeout(resolve, CLOSING_MS));
    return app.retired || !(await this.#reachable());
  }

  #connect(): Promise<LiteApp | undefined> {
    return this.#connecting ??= this.#createApp().finally(() => this.#connecting = undefined);
  }

  async #createApp(): Promise<LiteApp | undefined> {
    if (!(await this.#reachable())) return undefined;
    const app: LiteApp = new LiteApp(this.#config, () => this.#retire(app));
    // Not in use yet: only this function waits for it.
    this.#newApp = app;
    const timer = setTimeout(() => app.abandon(), WARM_MS);
    const warm = await app.warm();
    clearTimeout(timer);
    this.#newApp = undefined;
    if (warm) return this.#app = app;
    app.abandon();
    return undefined;
  }

  /**
   * Routes new requests to a new app. Requests of the old one may finish if it lost one connection and the database is
   * reachable. When one backend crashes, the server ends the others as well: then none of them finishes.
   */
  #retire(app: LiteApp): void {
    // It has no requests, and its first one would wait for what will not come.
    if (this.#newApp === app) return app.abandon();
    if (this.#app === app) this.#app = undefined;
    this.#reachable().then((reachable) => {
      if (!reachable) return app.abandon();
      setTimeout(() => {
        if (app.brokenConnections > 1) app.abandon();
      }, CRASH_MS);
      setTimeout(() => app.abandon(), DRAIN_MS);
    });
  }

  async #reachable(): Promise<boolean> {
    try {
      (await Deno.connect(this.#database)).close();
      return true;
    } catch {
      return false;
    }
  }
}
