/**
 * The resource of a pool of Supabase clients.
 *
 * This file alone knows which members of a `PostgrestClient` a view replaces.
 * Some of them are private to it: its version is pinned, the one supabase-js
 * uses, and a test fails when one of them is gone.
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

/** A `PostgrestClient`, as far as a view is derived from it. */
export interface RestPart {
  headers: Headers;
  fetch: typeof fetch;
  baseFetch: typeof fetch;
  wrapFetch: (inner: typeof fetch) => typeof fetch;
  from: AnyClient["from"];
  rpc: AnyClient["rpc"];
  schema: AnyClient["schema"];
  getOpenApiSpec: AnyClient["getOpenApiSpec"];
}

/** What views are derived from. */
export interface ClientParts {
  readonly rest: RestPart;
  /** The headers of {@linkcode rest}, by their names in lower case. */
  readonly queryHeaders: Readonly<Record<string, string>>;
  /** What every call carries beside the credentials. */
  readonly headers: Readonly<Record<string, string>>;
  readonly authUrl: string;
  readonly functionsUrl: string;
  readonly storageUrl: string;
  readonly supabaseUrl: string;
}

/** How a `SupabaseClient` of the version that is pinned introduces itself. */
function clientInfo(): string {
  // Not every runtime's `Deno` has all that Deno's own has.
  const { version }: { version?: { deno?: string } } = Deno;
  const runtime = version?.deno === undefined ? "" : `; runtime-version=${version.deno}`;
  return `supabase-js/2.119.0; runtime=deno${runtime}`;
}

/**
 * One pooled client: what a `SupabaseClient` of its configuration is made of, as
 * far as views need it. A whole one would make an auth and a realtime client as
 * well, which no view uses, at ten times the cost. Nobody outside this folder
 * reaches it: holders get views, and listeners of the pool's events get this.
 * What it holds is made when a view is first derived from it: those that are
 * kept ready for later cost a cold isolate nothing.
 */
export class PooledClient {
  readonly #make: () => ClientParts;
  #parts: ClientParts | undefined = undefined;

  /** @param url The project's address, without a slash at its end. */
  constructor(url: string, config: Readonly<SupabasePoolConfig>) {
    this.#make = () => makeParts(url, config);
  }

  /** For this folder: what a view is derived from. */
  static partsOf(client: PooledClient): ClientParts {
    return client.#parts ??= client.#make();
  }
}

function makeParts(url: string, { schema, headers: own }: Readonly<SupabasePoolConfig>): ClientParts {
  const headers = Object.freeze({ "X-Client-Info": clientInfo(), ...own });
  // Its own retry knows neither our deadline nor the lease. Whatever it sends, it sends through a view's fetch.
  const client: unknown = new PostgrestClient(`${url}/rest/v1`, { headers, schema, retry: false });
  const rest = client as RestPart;
  return {
    rest,
    queryHeaders: Object.freeze(Object.fromEntries(rest.headers)),
    headers,
    authUrl: `${url}/auth/v1`,
    functionsUrl: `${url}/functions/v1`,
    storageUrl: `${url}/storage/v1`,
    supabaseUrl: url,
  };
}

/** Makes and drops pooled clients. Nothing of theirs is open while nobody holds them. */
export function pooledClientFactory(
  url: string,
  config: Readonly<SupabasePoolConfig>,
): ResourceFactory<PooledClient> {
  return {
    create: () => new PooledClient(url, config),
    destroy: () => {},
  };
}
