/**
 * The Data API, Auth and Storage of one project.
 *
 * @module
 */
import { PoolError } from "../../shared/pool/mod.ts";
import { CommitOutcomeUnknownError, ConnectionBrokenError, ConnectionLostError } from "../../shared/postgres/mod.ts";
import { Credentials } from "../auth/credentials.ts";
import { AuthError, errorResponse } from "../auth/errors.ts";
import { Mailbox } from "../auth/mailbox.ts";
import { Auth } from "../auth/mod.ts";
import { type TokenKeys, Tokens } from "../auth/tokens.ts";
import type { ProjectConfig } from "../config/mod.ts";
import { StorageError } from "../storage/errors.ts";
import { Storage } from "../storage/mod.ts";
import type { DataApiConfig } from "./lite_app.ts";
import { DataApiService } from "./service.ts";

/** The configuration of the services. */
export interface ServicesConfig extends DataApiConfig, TokenKeys {
  /** The URL of the gateway, without a trailing slash. */
  readonly url: string;
  /** The URL of the database for the role `authenticator`. */
  readonly authenticatorUrl: string;
  /** The folder of the files of Storage. */
  readonly storageFolder: string;
  /** `[auth]` of the project's configuration. */
  readonly auth: ProjectConfig["auth"];
  /** `[storage]` of the project's configuration. */
  readonly storage: ProjectConfig["storage"];
}

/** Handles requests to `/rest/v1`, `/auth/v1`, `/storage/v1` and `/mail`. */
export class Services {
  readonly #dataApi: DataApiService;
  readonly #auth: Auth;
  readonly #storage: Storage;
  readonly #mailbox = new Mailbox(console.log);

  /** Creates the services; the first request of each connects to the database. */
  constructor(config: ServicesConfig) {
    const tokens = new Tokens(config);
    const credentials = new Credentials(config, tokens);
    this.#dataApi = new DataApiService(config, tokens, credentials);
    this.#auth = new Auth({
      databaseUrl: config.databaseUrl,
      url: config.url,
      config: config.auth,
      tokens,
      credentials,
      mailbox: this.#mailbox,
    });
    this.#storage = new Storage({
      databaseUrl: config.databaseUrl,
      authenticatorUrl: config.authenticatorUrl,
      folder: config.storageFolder,
      config: config.storage,
      jwtSecret: config.jwtSecret,
      credentials,
    });
  }

  /** Handles a request; never rejects. */
  async fetch(request: Request): Promise<Response> {
    const { pathname } = new URL(request.url);
    try {
      if (pathname.startsWith("/auth/v1")) return await this.#auth.fetch(request);
      if (pathname.startsWith("/storage/v1")) return await this.#storage.fetch(request);
      if (pathname === "/mail" || pathname === "/mail.json") return this.#mailbox.fetch(request);
      return await this.#dataApi.fetch(request);
    } catch (error) {
      return failure(request, error);
    }
  }

  /** Handles an uncaught error: see {@linkcode DataApiService.recover}. */
  recover(): void {
    this.#dataApi.recover();
  }
}

/** Returns whether the database is not available, or a connection to it broke. */
function isUnavailable(error: unknown): boolean {
  return error instanceof ConnectionLostError || error instanceof ConnectionBrokenError ||
    error instanceof CommitOutcomeUnknownError || (error instanceof PoolError && error.http.status === 503);
}

/** Creates the response to an error that is not the caller's: 503 while the database is not available, else 500. */
function failure(request: Request, error: unknown): Response {
  const isDown = isUnavailable(error);
  if (!isDown) console.error(error);
  const [status, message] = isDown
    ? [503, "The database does not accept connections."]
    : [500, "Unexpected failure, please check server logs for more information"];
  const response = new URL(request.url).pathname.startsWith("/storage/")
    ? new StorageError(status, isDown ? "DatabaseUnavailable" : "InternalError", message).toResponse()
    : errorResponse(request, new AuthError(status, "unexpected_failure", message));
  if (isDown) response.headers.set("retry-after", "1");
  return response;
}
