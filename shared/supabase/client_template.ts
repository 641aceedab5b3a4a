/**
 * The slots that a client pool leases, and the template that views are derived from.
 *
 * @module
 */
import { PostgrestClient } from "@supabase/postgrest-js";
import type { SupabaseClient } from "@supabase/supabase-js";
import type { ResourceFactory } from "../pool/mod.ts";
import type { SupabasePoolConfig } from "./config.ts";

/** A `SupabaseClient` of any schema. */
// deno-lint-ignore no-explicit-any -- the pool carries clients of whichever schema it is asked for
export type AnyClient = SupabaseClient<any, any, any>;

/**
 * A slot of a client pool: the right to send calls, and nothing else. A
 * Supabase client is not a connection, so there is nothing to keep in a slot.
 * The pool leases slots to bound how many callers work at once; what a caller
 * uses is a view, derived from the pool's one {@linkcode ClientTemplate}.
 */
export type ClientSlot = Readonly<Record<never, never>>;

/** Creates slots. There is nothing to validate, reset or close. */
export const clientSlots: ResourceFactory<ClientSlot> = {
  create: () => ({}),
  destroy: () => {},
};

/** The parts of a `PostgrestClient` that a view is derived from. */
export interface PostgrestTemplate {
  /** The headers that each query copies; `undefined` for none, which costs less than to copy empty ones. */
  headers: Headers | undefined;
  fetch: typeof fetch;
  baseFetch: typeof fetch;
  wrapFetch: (inner: typeof fetch) => typeof fetch;
  from: AnyClient["from"];
  rpc: AnyClient["rpc"];
  schema: AnyClient["schema"];
  getOpenApiSpec: AnyClient["getOpenApiSpec"];
}

/**
 * The source of the views of one pool: the parts of a `SupabaseClient` of its
 * configuration. A whole client would also create an auth and a realtime
 * client, which no view uses, at ten times the cost.
 */
export interface ClientTemplate {
  readonly rest: PostgrestTemplate;
  /** The headers of {@linkcode rest}, by their names in lower case. */
  readonly queryHeaders: Readonly<Record<string, string>>;
  /** The headers of every call, besides the credentials. */
  readonly headers: Readonly<Record<string, string>>;
  readonly authUrl: string;
  readonly functionsUrl: string;
  readonly storageUrl: string;
  readonly supabaseUrl: string;
}

/** The globals that name the runtime. Not every runtime's `Deno` has all that Deno's own has. */
interface RuntimeGlobals {
  readonly Deno?: { readonly version?: { readonly deno?: string } };
  readonly process?: { readonly version?: string };
}

/**
 * Returns the name and the version of the runtime. It reads `process` only where there is no `Deno`: the first read of
 * that global loads Node's part of Deno, which takes longer than the rest of a first request.
 */
function runtimeOf(globals: RuntimeGlobals): { readonly name: string; readonly version?: string } {
  const [name, version] = globals.Deno
    ? ["deno", globals.Deno.version?.deno]
    : ["node", globals.process?.version?.slice("v".length)];
  return { name, ...(version === undefined ? {} : { version }) };
}

/** Returns the `X-Client-Info` header of a `SupabaseClient` of the pinned version. */
function clientInfo(): string {
  const { name, version } = runtimeOf(globalThis);
  return `supabase-js/2.119.0; runtime=${name}${version === undefined ? "" : `; runtime-version=${version}`}`;
}

/**
 * Creates the template of a pool. It opens no connection and sets no timer.
 *
 * @param url The project's URL, without a slash at its end.
 */
export function createTemplate(
  url: string,
  { schema, headers: own }: Pick<SupabasePoolConfig, "schema" | "headers">,
): ClientTemplate {
  const headers = Object.freeze({ "X-Client-Info": clientInfo(), ...own });
  // Its own retry knows neither our deadline nor the lease. Whatever it sends, it sends through a view's fetch.
  const client: unknown = new PostgrestClient(`${url}/rest/v1`, { headers, schema, retry: false });
  const rest = client as PostgrestTemplate;
  return Object.freeze({
    rest,
    queryHeaders: Object.freeze(Object.fromEntries(rest.headers ?? [])),
    headers,
    authUrl: `${url}/auth/v1`,
    functionsUrl: `${url}/functions/v1`,
    storageUrl: `${url}/storage/v1`,
    supabaseUrl: url,
  });
}
