/**
 * The Data API and Auth on one set of database connections.
 *
 * The driver under `@supabase/lite` does not always survive a server that
 * goes away: a connection that broke while a write was under way stays stuck
 * for ever. So connections are never mended here. When one breaks, the whole
 * set is retired: new requests get a new set, and what still waits on the old
 * one is answered.
 *
 * @module
 */
import { App } from "@supabase/lite";
import { createPostgresConnection } from "@supabase/lite/postgres";

/** What the Data API needs to know. */
export interface DataApiConfig {
  /** URL of the database, as a superuser: Auth owns tables, and the Data API reads the catalogue. */
  readonly databaseUrl: string;
  /** What Auth signs with. */
  readonly jwtSecret: string;
  /** The keys that are let in. */
  readonly publishableKey: string;
  /** The key of `service_role`. */
  readonly secretKey: string;
  /** Where applications find the stack. */
  readonly siteUrl: string;
}

const CONNECTIONS = 20;
const CONNECT_TIMEOUT_S = 3;

/** `2026-01-02 03:04:05.678+00` as PostgREST writes it, `2026-01-02T03:04:05.678+00:00`. */
export function isoTimestamp(text: string): string {
  return text.replace(/^(\d{4,}-\d\d-\d\d) (\S+)$/, "$1T$2").replace(
    /([+-]\d\d)$/,
    (zone, _match, at) => at > 10 ? `${zone}:00` : zone,
  );
}

/** One set of connections and the API on it. */
export class Generation {
  readonly #app: App;
  readonly #close: () => Promise<void>;
  readonly #countTables: () => Promise<number>;
  readonly #lost = Promise.withResolvers<"lost">();
  #retired = false;

  /** @param onRetired Called once, when the first connection breaks. */
  constructor(config: DataApiConfig, onRetired: () => void) {
    const timestamp = { serialize: (value: string) => value, parse: isoTimestamp };
    const connection = createPostgresConnection({
      url: config.databaseUrl,
      postgresOptions: {
        max: CONNECTIONS,
        connect_timeout: CONNECT_TIMEOUT_S,
        backoff: false,
        // None ends by itself, so one that ends has broken.
        max_lifetime: null,
        onnotice: () => {},
        onclose: () => {
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
    // Left to itself, lite grants everything in every schema with row-level security to `anon` and `authenticated`
    // with the first request, and answers as a superuser where there is no such schema. "active" says that this is
    // done: it then takes on the caller's role, and the migrations' own grants stand.
    Object.assign(connection, { rlsState: "active" });
    this.#close = () => connection.close();
    this.#countTables = async () => (await connection.introspect({ useCache: true })).tables.length;
    this.#app = new App({
      connection,
      api: { schemas: ["public"], max_rows: 1000 },
      auth: {
        enabled: true,
        site_url: config.siteUrl,
        jwt_secret: config.jwtSecret,
        publishable_key: config.publishableKey,
        secret_key: config.secretKey,
        email: { enable_signup: true, enable_confirmations: false },
      },
      options: { server: { admin: false, disableStudio: true } },
    });
  }

  /** Whether a connection of it has broken. */
  get retired(): boolean {
    return this.#retired;
  }

  /**
   * Reads the catalogue, and says whether it could be read. Without it every
   * table is unknown, and requests are answered with 404.
   */
  async warm(): Promise<boolean> {
    // Lite takes a catalogue that it could not read for an empty one. Ours never is: Auth has tables.
    const count = await Promise.race([this.#countTables().catch(() => 0), this.#lost.promise]);
    return count !== "lost" && count > 0 && !this.#retired;
  }

  /** Answers a request; `"lost"` if the connections are given up first. */
  async fetch(request: Request): Promise<Response | "lost"> {
    return await Promise.race([this.#app.fetch(request), this.#lost.promise]);
  }

  /** Gives up the connections, and with them what still waits. */
  abandon(): void {
    this.#retired = true;
    this.#lost.resolve("lost");
    this.#close().catch(() => {});
  }
}
