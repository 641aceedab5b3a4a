/**
 * The resource of a pool of Supabase clients.
 *
 * This file alone knows which parts of a `SupabaseClient` a view is derived
 * from. They are not part of its public interface: the version of
 * `@supabase/supabase-js` is pinned, and a test fails when one of them is gone.
 *
 * @module
 */
import { SupabaseClient } from "@supabase/supabase-js";
import type { ResourceFactory } from "../pool/mod.ts";
import type { SupabasePoolConfig } from "./config.ts";

/** A `SupabaseClient` of any schema. */
// deno-lint-ignore no-explicit-any -- the pool carries clients of whichever schema it is asked for
export type AnyClient = SupabaseClient<any, any, any>;

/** The query client of a `SupabaseClient`, as far as a view is derived from it. */
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

/** The parts of a `SupabaseClient` that views are derived from. */
export interface ClientParts {
  readonly rest: RestPart;
  readonly functions: AnyClient["functions"];
  readonly storage: AnyClient["storage"];
  readonly headers: Readonly<Record<string, string>>;
  readonly authUrl: string;
  readonly functionsUrl: string;
  readonly storageUrl: string;
  readonly supabaseUrl: string;
}

/** What a client has inside; see the head of this file. */
interface ClientInternals {
  readonly rest: RestPart;
  readonly functions: AnyClient["functions"];
  readonly storage: AnyClient["storage"];
  readonly headers: Record<string, string>;
  readonly authUrl: URL;
  readonly functionsUrl: URL;
  readonly storageUrl: URL;
  readonly supabaseUrl: string;
}

/**
 * A `SupabaseClient` without the two parts that are dear to make and that no
 * view is derived from: a view makes an `auth` of its own when it is asked for
 * one, and has no `realtime`. By itself it can send nothing.
 */
// deno-lint-ignore no-explicit-any -- as AnyClient
export class LeanClient extends SupabaseClient<any, any, any> {}

for (const part of ["_initSupabaseAuthClient", "_listenForAuthEvents", "_initRealtimeClient"]) {
  Object.defineProperty(LeanClient.prototype, part, { value: () => undefined });
}

/**
 * One pooled client. Nobody outside this folder reaches the client itself:
 * holders get views, and listeners of the pool's events get this. What it holds
 * is made when a view is first derived from it: those that are kept ready for
 * later cost a cold isolate nothing.
 */
export class PooledClient {
  readonly #make: () => ClientParts;
  #parts: ClientParts | undefined = undefined;

  constructor(url: string, key: string, config: Readonly<SupabasePoolConfig>) {
    this.#make = () =>
      partsOf(
        new LeanClient(url, key, {
          // A client that refreshes tokens is kept alive for ever by its timer.
          auth: { persistSession: false, autoRefreshToken: false, detectSessionInUrl: false },
          // The client's own retry knows neither our deadline nor the lease.
          db: { schema: config.schema, retry: false },
          global: { headers: { ...config.headers }, fetch: config.fetch },
        }),
      );
  }

  /** For this folder: what a view is derived from. */
  static partsOf(client: PooledClient): ClientParts {
    return client.#parts ??= client.#make();
  }
}

function partsOf(client: unknown): ClientParts {
  const inside = client as ClientInternals;
  return {
    rest: inside.rest,
    functions: inside.functions,
    storage: inside.storage,
    headers: Object.freeze({ ...inside.headers }),
    authUrl: inside.authUrl.href,
    functionsUrl: inside.functionsUrl.href,
    storageUrl: inside.storageUrl.href,
    supabaseUrl: inside.supabaseUrl,
  };
}

/** Makes and drops pooled clients. Nothing of theirs is open while nobody holds them. */
export function pooledClientFactory(
  url: string,
  key: string,
  config: Readonly<SupabasePoolConfig>,
): ResourceFactory<PooledClient> {
  return {
    create: () => new PooledClient(url, key, config),
    destroy: () => {},
  };
}
