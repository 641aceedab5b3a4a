/**
 * The functions on a stand-in for the project, with a signed-in user.
 */
import { type RuntimeOptions, SupabaseService } from "../../shared/mod.ts";
import { type FakeProject, startFakeProject } from "../support/fake_project.ts";
import { watched, watchOf } from "../support/http.ts";
import { JWT_SECRET } from "../http/fake_pools.ts";
import { sharedSecretToken } from "../http/tokens.ts";
import type { Database } from "../../functions/_app/database.ts";

export const ID = "123e4567-e89b-12d3-a456-426614174000";
export const OTHER_ID = "223e4567-e89b-12d3-a456-426614174000";

const KEYS = { publishableKey: "sb_publishable_default", secretKey: "sb_secret_default" };

/** A function that is ready for requests. */
export interface Fixture extends AsyncDisposable {
  readonly project: FakeProject;
  readonly service: SupabaseService<Database>;
  /** Sends a request as the user, or with the headers given instead. */
  ask(method: string, path: string, init?: AskInit): Promise<Response>;
}

/** The rest of a request. */
export interface AskInit {
  /** The body, to send as JSON. */
  readonly json?: unknown;
  /** The body, to send unchanged. */
  readonly body?: BodyInit;
  /** Headers to add to those of the user; `undefined` removes one. */
  readonly headers?: Readonly<Record<string, string | undefined>>;
  /** Aborts when the caller disconnects. Default: never. */
  readonly signal?: AbortSignal;
}

/** Starts a function on a stand-in for the project, which responds with an empty list by default. */
export async function startFunction(
  create: (options: RuntimeOptions<Database>) => (request: Request) => Promise<Response>,
): Promise<Fixture> {
  const project = startFakeProject();
  const service = new SupabaseService<Database>({
    url: project.url,
    ...KEYS,
    pool: { minConnections: 0, maxConnections: 3, retryDelayMs: 1 },
  });
  const variables = {
    SUPABASE_URL: project.url,
    SUPABASE_PUBLISHABLE_KEYS: JSON.stringify({ default: KEYS.publishableKey }),
    SUPABASE_SECRET_KEYS: JSON.stringify({ default: KEYS.secretKey }),
    SUPABASE_JWKS: '{"keys":[]}',
    JWT_SECRET,
  };
  const handler = watched(create({ variables, service }), watchOf(variables));
  const user = { Authorization: `Bearer ${await sharedSecretToken()}`, apikey: KEYS.publishableKey };
  return {
    project,
    service,
    ask(method, path, { json, body, headers = {}, signal } = {}) {
      const all: Record<string, string | undefined> = {
        ...user,
        ...(json === undefined ? {} : { "Content-Type": "application/json" }),
        ...headers,
      };
      const entries = Object.entries(all).filter((entry): entry is [string, string] => entry[1] !== undefined);
      const sent = json === undefined ? body : JSON.stringify(json);
      return handler(
        new Request(`http://localhost${path}`, {
          method,
          headers: entries,
          ...(sent === undefined ? {} : { body: sent }),
          ...(signal ? { signal } : {}),
        }),
      );
    },
    async [Symbol.asyncDispose]() {
      await service.shutdown(0);
      await project[Symbol.asyncDispose]();
    },
  };
}

/** The body of a problem. */
export interface Problem {
  readonly status: number;
  readonly code: string;
  readonly errors?: readonly { readonly path: string; readonly message: string }[];
}

/**
 * Ends the isolate, and waits until its pools have closed: that takes turns of the event loop, which may be slow on a
 * loaded machine.
 */
export async function endIsolate(turns = 50): Promise<void> {
  dispatchEvent(new CustomEvent("beforeunload", { detail: { reason: "early_drop" } }));
  for (let turn = 0; turn < turns; turn++) await new Promise((resolve) => setTimeout(resolve, 2));
}
