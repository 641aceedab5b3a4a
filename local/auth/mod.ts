/**
 * Auth, with the API of GoTrue: `/auth/v1`.
 *
 * `@supabase/lite` has an Auth too, without the admin API, anonymous sign-ins, bans, addresses of links, metadata in
 * tokens, and ES256; tokens with these are what row-level security of a hosted project relies on.
 *
 * @module
 */
import { PostgresConnectionManager, StatementError } from "../../shared/postgres/mod.ts";
import { parseObject, readText } from "../body.ts";
import type { ProjectConfig } from "../config/mod.ts";
import { badToken, noToken, reauthenticate, recover, requireUser, resend, signOut, updateAccount } from "./account.ts";
import {
  changeUser,
  createUser,
  deleteFactor,
  deleteUser,
  invite,
  listFactors,
  listUsers,
  requireUserAt,
} from "./admin.ts";
import { type AuthContext, type AuthRequest, Input } from "./context.ts";
import type { Caller, Credentials } from "./credentials.ts";
import { loginOf } from "./database.ts";
import { AuthError, errorResponse, notLocal } from "./errors.ts";
import { generateLink } from "./generate_link.ts";
import type { Mailbox } from "./mailbox.ts";
import { followLink, grantToken, verifyCode } from "./sign_in.ts";
import { sendMagicLink, signUp } from "./sign_up.ts";
import type { Tokens } from "./tokens.ts";
import { present } from "./users.ts";

/** Options for {@linkcode Auth}. */
export interface AuthOptions {
  /** The URL of the database, for a role that may become `supabase_auth_admin`. */
  readonly databaseUrl: string;
  /** The URL of the gateway, without a trailing slash. */
  readonly url: string;
  /** `[auth]` of the project. */
  readonly config: ProjectConfig["auth"];
  /** The tokens of the project. */
  readonly tokens: Tokens;
  /** The credentials of the project. */
  readonly credentials: Credentials;
  /** The mails. */
  readonly mailbox: Mailbox;
}

/** A response, the body of one with status 200, or none for status 204. */
type Outcome = Response | Record<string, unknown> | readonly unknown[] | void;

/** Handles a request; `caller` is that of its credentials, and `parts` are those of its path. */
type Handler = (
  context: AuthContext,
  request: AuthRequest,
  caller: Caller,
  parts: readonly string[],
) => Promise<Outcome>;

/** Routes that a browser opens, or that a verifier reads: they need no API key. */
const OPEN = /^\/(verify|callback|authorize|\.well-known\/.*|sso\/saml\/.*|health)$/;

/** The limit of GoTrue, in bytes. */
const MAX_BODY = 1_048_576;

const asUser = (
  handle: (...args: [AuthContext, AuthRequest, Awaited<ReturnType<typeof requireUser>>]) => Promise<Outcome>,
): Handler =>
async (context, request, caller) => await handle(context, request, await requireUser(context, caller));

const asAdmin =
  (handle: (context: AuthContext, request: AuthRequest, parts: readonly string[]) => Promise<Outcome>): Handler =>
  async (context, request, caller, parts) => {
    if (caller.from === "nothing") throw noToken();
    if (caller.from === "rejected") throw badToken(caller.reason);
    if (!["service_role", "supabase_admin"].includes(String(caller.claims.role))) {
      throw new AuthError(403, "not_admin", "User not allowed");
    }
    return await handle(context, request, parts);
  };

const absent = (feature: string, code?: string): Handler => () => Promise.reject(notLocal(feature, code));

const OAUTH = absent("OAuth providers are", "provider_disabled");
const MFA = absent("Multi-factor authentication is", "mfa_totp_enroll_not_enabled");

/** Routes by method and path; `:id` stands for a part of the path, `*` for any rest. */
const ROUTES: readonly (readonly [method: string, path: string, handle: Handler])[] = [
  ["POST", "/signup", signUp],
  ["POST", "/token", grantToken],
  ["GET", "/verify", followLink],
  ["POST", "/verify", verifyCode],
  ["POST", "/otp", sendMagicLink],
  ["POST", "/magiclink", sendMagicLink],
  ["POST", "/recover", recover],
  ["POST", "/resend", resend],
  ["GET", "/user", asUser((_context, _request, { user }) => Promise.resolve(present(user)))],
  ["PUT", "/user", asUser(updateAccount)],
  ["POST", "/logout", asUser(signOut)],
  ["GET", "/reauthenticate", asUser((context, _request, user) => reauthenticate(context, user))],
  ["GET", "/settings", ({ config }) => Promise.resolve(settingsOf(config))],
  [
    "GET",
    "/health",
    () => Promise.resolve({ version: "local", name: "GoTrue", description: "Auth of the local stack" }),
  ],
  ["GET", "/.well-known/jwks.json", ({ tokens }) => Promise.resolve(published(tokens.jwks))],
  ["GET", "/.well-known/openid-configuration", ({ url }) =>
    Promise.resolve(published({
      issuer: `${url}/auth/v1`,
      jwks_uri: `${url}/auth/v1/.well-known/jwks.json`,
      id_token_signing_alg_values_supported: ["ES256"],
    }))],
  ["GET", "/admin/users", asAdmin(listUsers)],
  ["POST", "/admin/users", asAdmin(createUser)],
  [
    "GET",
    "/admin/users/:id",
    asAdmin(async (context, _request, [id = ""]) => present(await requireUserAt(context, id))),
  ],
  [
    "PUT",
    "/admin/users/:id",
    asAdmin(async (context, request, [id = ""]) =>
      await changeUser(context, request, await requireUserAt(context, id))
    ),
  ],
  [
    "DELETE",
    "/admin/users/:id",
    asAdmin(async (context, request, [id = ""]) =>
      await deleteUser(context, request, await requireUserAt(context, id))
    ),
  ],
  [
    "GET",
    "/admin/users/:id/factors",
    asAdmin(async (context, _request, [id = ""]) => listFactors(await requireUserAt(context, id))),
  ],
  [
    "DELETE",
    "/admin/users/:id/factors/:id",
    asAdmin(async (context, _request, [id = "", factor = ""]) =>
      await deleteFactor(context, await requireUserAt(context, id), factor)
    ),
  ],
  ["POST", "/admin/generate_link", asAdmin(generateLink)],
  ["POST", "/invite", asAdmin(invite)],
  ["*", "/authorize", OAUTH],
  ["*", "/callback", OAUTH],
  ["*", "/user/identities/*", OAUTH],
  ["*", "/oauth/*", absent("The OAuth server is", "oauth_provider_not_supported")],
  ["*", "/admin/oauth/*", absent("The OAuth server is", "oauth_provider_not_supported")],
  ["*", "/sso", absent("Single sign-on is", "saml_provider_disabled")],
  ["*", "/sso/*", absent("Single sign-on is", "saml_provider_disabled")],
  ["*", "/admin/sso/*", absent("Single sign-on is", "saml_provider_disabled")],
  ["*", "/factors", MFA],
  ["*", "/factors/*", MFA],
  ["*", "/passkeys/*", absent("Passkeys are", "mfa_webauthn_enroll_not_enabled")],
];

/** The error of a request with a text that Postgres cannot store. */
function notStorable(): AuthError {
  return new AuthError(400, "validation_failed", "The request holds a character that cannot be stored, such as U+0000");
}

function published(body: unknown): Response {
  return Response.json(body, { headers: { "cache-control": "public, max-age=600" } });
}

function settingsOf(config: ProjectConfig["auth"]): Record<string, unknown> {
  return {
    external: { email: config.email.enableSignup, phone: false, anonymous_users: config.enableAnonymousSignIns },
    disable_signup: !config.enableSignup,
    mailer_autoconfirm: !config.email.enableConfirmations,
    phone_autoconfirm: false,
    sms_provider: "",
    saml_enabled: false,
    mfa_enabled: false,
  };
}

/** Returns the parts of `path` that stand for `:id` in `pattern`; `undefined` if it does not match. */
function match(pattern: string, path: string): string[] | undefined {
  const [expected, actual] = [pattern.split("/"), path.split("/")];
  if (expected.at(-1) === "*") {
    if (actual.length < expected.length) return undefined;
  } else if (expected.length !== actual.length) return undefined;
  const parts: string[] = [];
  for (const [index, part] of expected.entries()) {
    const value = actual[index] ?? "";
    if (part === "*") break;
    if (part === ":id" && value !== "") parts.push(value);
    else if (part !== value) return undefined;
  }
  return parts;
}

async function bodyOf(request: Request): Promise<Input> {
  if (request.method === "GET" || request.method === "HEAD") return new Input({});
  const text = await readText(request, MAX_BODY);
  if (text === undefined) throw new AuthError(413, "request_too_large", "Request body too large");
  const value = parseObject(text);
  if (!value) throw new AuthError(400, "bad_json", "Could not parse request body as JSON");
  return new Input(value);
}

/** Handles requests to `/auth/v1`. */
export class Auth implements AsyncDisposable {
  readonly #context: AuthContext;
  readonly #credentials: Credentials;

  /** Creates the service; the first request connects to the database. */
  constructor({ databaseUrl, credentials, ...options }: AuthOptions) {
    this.#credentials = credentials;
    const database = new PostgresConnectionManager({
      ...loginOf(databaseUrl),
      minConnections: 0,
      maxConnections: 10,
      acquireTimeoutMs: 5_000,
      healthCheckIntervalMs: 0,
      applicationName: "auth",
      // Triggers of a project run with the rights of Auth, as on the hosted platform.
      options: "-c role=supabase_auth_admin -c search_path=auth -c timezone=UTC",
    });
    this.#context = { ...options, database };
  }

  /** Handles a request. Rejects if the database is not available. */
  async fetch(request: Request): Promise<Response> {
    const url = new URL(request.url);
    const path = url.pathname.replace(/^\/auth\/v1/, "").replace(/\/$/, "") || "/";
    try {
      return await this.#respond(request, url, path);
    } catch (error) {
      if (error instanceof StatementError) return errorResponse(request, notStorable());
      if (!(error instanceof AuthError)) throw error;
      return errorResponse(request, error);
    } finally {
      if (!request.bodyUsed) await request.body?.cancel().catch(() => {});
    }
  }

  /** Closes the connections. */
  async [Symbol.asyncDispose](): Promise<void> {
    await this.#context.database.shutdown();
  }

  async #respond(request: Request, url: URL, path: string): Promise<Response> {
    const rejection = OPEN.test(path) ? undefined : this.#rejectKey(request);
    if (rejection) return rejection;
    const methods = new Set<string>();
    for (const [method, pattern, handle] of ROUTES) {
      const parts = match(pattern, path);
      if (!parts) continue;
      if (method !== request.method && method !== "*") {
        methods.add(method);
        continue;
      }
      const [body, caller] = [await bodyOf(request), await this.#credentials.callerOf(request)];
      const outcome = await handle(this.#context, { url, headers: request.headers, body }, caller, parts);
      if (outcome instanceof Response) return outcome;
      return outcome === undefined ? new Response(null, { status: 204 }) : Response.json(outcome);
    }
    if (methods.size > 0) return new Response(null, { status: 405, headers: { allow: [...methods].join(", ") } });
    return new Response("404 page not found\n", { status: 404, headers: { "content-type": "text/plain" } });
  }

  /** Returns the response to a request without an API key of the project, as the hosted gateway gives it. */
  #rejectKey(request: Request): Response | undefined {
    const key = this.#credentials.keyIn(request);
    if (this.#credentials.kindOf(key) !== undefined) return undefined;
    return key === null
      ? Response.json({
        message: "No API key found in request",
        hint: "No `apikey` request header or url param was found.",
      }, { status: 401, headers: { "sb-error-code": "UNAUTHORIZED_MISSING_API_KEY" } })
      : Response.json({ message: "Invalid API key", hint: "Double check your Supabase `apikey`" }, {
        status: 401,
        headers: { "sb-error-code": "UNAUTHORIZED_INVALID_API_KEY" },
      });
  }
}
