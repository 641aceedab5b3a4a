/**
 * The Data API of `@supabase/lite` on one set of database connections.
 *
 * The driver under `@supabase/lite` does not always survive the loss of its
 * server: a connection that broke during a write hangs forever. So a broken
 * connection is never reused. The app retires with its first broken connection:
 * new requests get a new app, and requests that wait on the old one get a
 * response.
 *
 * @module
 */
import { App } from "@supabase/lite";
import { createPostgresConnection } from "@supabase/lite/postgres";
import type { ProjectConfig } from "../config/mod.ts";
import { Latch } from "../latch.ts";
import { DATA_API_APPLICATION, DATA_API_CONNECTIONS } from "./connections.ts";

/** The configuration of the Data API. */
export interface DataApiConfig {
  /** The URL of the database for a superuser: the Data API reads the catalog. */
  readonly databaseUrl: string;
  /** The secret of the tokens that it accepts. */
  readonly jwtSecret: string;
  /** The key for browsers. */
  readonly publishableKey: string;
  /** The key of `service_role`. */
  readonly secretKey: string;
  /** `[api]` of the project's configuration. */
  readonly api: Pick<ProjectConfig["api"], "enabled" | "schemas" | "extraSearchPath" | "maxRows">;
}

const CONNECT_TIMEOUT_S = 3;

/** Converts `2026-01-02 03:04:05.678+00` to the form of PostgREST, `2026-01-02T03:04:05.678+00:00`. */
export function isoTimestamp(text: string): string {
  return text.replace(/^(\d{4,}-\d\d-\d\d) (\S+)$/, "$1T$2").replace(
    /([+-]\d\d)$/,
    (zone, _match, at) => at > 10 ? `${zone}:00` : zone,
  );
}

/** Returns the search path of every request: the first schema of the API and the extra ones, as in PostgREST. */
function searchPath({ schemas, extraSearchPath }: DataApiConfig["api"]): string {
  const names = new Set([schemas[0] ?? "public", ...extraSearchPath]);
  return [...names].map((name) => `"${name.replaceAll('"', '""')}"`).join(", ");
}

/** Names the first schema of the API where a request names none: lite takes `public` then, PostgREST the first. */
function withProfile(request: Request, schema: string): Request {
  const name = request.method === "GET" || request.method === "HEAD" ? "accept-profile" : "content-profile";
  if (schema === "public" || request.headers.has(name)) return request;
  if (!new URL(request.url).pathname.startsWith("/rest/")) return request;
  const headers = new Headers(request.headers);
  headers.set(name, schema);
  return new Request(request, { headers });
}

/** The app on one set of connections. */
export class LiteApp {
  readonly #app: App;
  readonly #close: () => Promise<void>;
  readonly #countTables: () => Promise<number>;
  readonly #lost = new Latch<"lost">();
  readonly #schema: string;
  #retired = false;
  #broken = 0;

  /** @param onRetired Called once, when the first connection has broken. */
  constructor(config: DataApiConfig, onRetired: () => void) {
    this.#schema = config.api.schemas[0] ?? "public";
    const timestamp = { serialize: (value: string) => value, parse: isoTimestamp };
    const connection = createPostgresConnection({
      url: config.databaseUrl,
      postgresOptions: {
        max: DATA_API_CONNECTIONS,
        connect_timeout: CONNECT_TIMEOUT_S,
        backoff: false,
        connection: { application_name: DATA_API_APPLICATION, search_path: searchPath(config.api) },
        // No connection ends by itself, so one that ends has broken.
        max_lifetime: null,
        onnotice: () => {},
        onclose: () => {
          this.#broken++;
          if (this.#retired) return;
          this.#retired = true;
          onRetired();
        },
        types: {
          timestamp: { to: 1114, from: [1114], ...timestamp },
          timestamptz: { to: 1184, from: [1184], ...timestamp },
        },
      },
    });
    // By default, lite grants everything in every schema with row-level security to `anon` and `authenticated` at the
    // first request, and responds as a superuser where there is no such schema. "active" tells it that this has
    // happened: it then sets the role of the caller, and the grants of the migrations apply.
    Object.assign(connection, { rlsState: "active" });
    this.#close = () => connection.close();
    this.#countTables = async () => (await connection.introspect({ useCache: true })).tables.length;
    this.#app = new App({
      connection,
      api: { enabled: config.api.enabled, schemas: [...config.api.schemas], max_rows: config.api.maxRows },
      // Its verifier of tokens is a part of its Auth.
      auth: {
        enabled: true,
        jwt_secret: config.jwtSecret,
        publishable_key: config.publishableKey,
        secret_key: config.secretKey,
      },
      options: { server: { admin: false, disableStudio: true } },
    });
  }

  /** `true` once one of its connections has broken. */
  get retired(): boolean {
    return this.#retired;
  }

  /** The number of its connections that have broken. */
  get brokenConnections(): number {
    return this.#broken;
  }

  /**
   * Reads the catalog and returns whether that succeeded. Without the catalog every
   * table is unknown, and the response to every request is 404.
   */
  async warm(): Promise<boolean> {
    // Lite treats a catalog that it cannot read as empty. This one never is: the schema `auth` has tables.
    const count = await this.#lost.race(this.#countTables().catch(() => 0));
    return count !== "lost" && count > 0 && !this.#retired;
  }

  /** Handles a request. Returns `"lost"` if the app is abandoned first. */
  async fetch(request: Request): Promise<Response | "lost"> {
    return await this.#lost.race(Promise.resolve(this.#app.fetch(withProfile(request, this.#schema))));
  }

  /** Closes the connections and ends the requests that wait. */
  abandon(): void {
    this.#retired = true;
    this.#lost.open("lost");
    this.#close().catch(() => {});
  }
}
