/**
 * The parts that the routes of Auth share.
 *
 * @module
 */
import type { PostgresConnectionManager, PostgresQueries } from "../../shared/postgres/mod.ts";
import type { ProjectConfig } from "../config/mod.ts";
import { AuthError } from "./errors.ts";
import type { Mailbox } from "./mailbox.ts";
import type { Claims, Tokens } from "./tokens.ts";
import type { User } from "./users.ts";

/** Runs statements: the manager, or one of its transactions. */
export type Sql = Pick<PostgresQueries, "query">;

/** The parts that the routes share. */
export interface AuthContext {
  /** The database, as the role of Auth. */
  readonly database: PostgresConnectionManager;
  /** `[auth]` of the project. */
  readonly config: ProjectConfig["auth"];
  /** The tokens of the project. */
  readonly tokens: Tokens;
  /** The mails. */
  readonly mailbox: Mailbox;
  /** The URL of the gateway, without a trailing slash. */
  readonly url: string;
}

/** A request to a route. */
export interface AuthRequest {
  /** The URL. */
  readonly url: URL;
  /** The headers. */
  readonly headers: Headers;
  /** The body; empty if the request has none. */
  readonly body: Input;
}

/** The user and the session of a token. */
export interface SignedIn {
  /** The user. */
  readonly user: User;
  /** The session; `undefined` for a token without one. */
  readonly sessionId: string | undefined;
  /** The claims. */
  readonly claims: Claims;
}

/** The members of a JSON body, read by type as GoTrue reads them: `null` counts as missing. */
export class Input {
  readonly #values: Readonly<Record<string, unknown>>;

  /** @param values The members. */
  constructor(values: Readonly<Record<string, unknown>>) {
    this.#values = values;
  }

  /** Returns a text, or `""` if it is missing. */
  text(name: string): string {
    return this.optionalText(name) ?? "";
  }

  /** Returns a text, or `undefined` if it is missing. */
  optionalText(name: string): string | undefined {
    return this.#read(name, "string", (value): value is string => typeof value === "string");
  }

  /** Returns a boolean, or `undefined` if it is missing. */
  flag(name: string): boolean | undefined {
    return this.#read(name, "bool", (value): value is boolean => typeof value === "boolean");
  }

  /** Returns an object, or `undefined` if it is missing. */
  object(name: string): Record<string, unknown> | undefined {
    return this.#read(
      name,
      "object",
      (value): value is Record<string, unknown> => typeof value === "object" && !Array.isArray(value),
    );
  }

  #read<T>(name: string, type: string, matches: (value: unknown) => value is T): T | undefined {
    const value = Object.hasOwn(this.#values, name) ? this.#values[name] : undefined;
    if (value === undefined || value === null) return undefined;
    if (matches(value)) return value;
    throw new AuthError(400, "bad_json", `Could not parse request body as JSON: ${name} must be of type ${type}`);
  }
}
