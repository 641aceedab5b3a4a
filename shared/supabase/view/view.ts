/**
 * The client of a lease: it has the members of a `SupabaseClient` and is bound to
 * one lease.
 *
 * @module
 */
import { StorageClient } from "@supabase/storage-js";
import { OWN_CLIENT, restrictedAuth } from "./auth_view.ts";
import { ViewRestrictedError } from "../errors.ts";
import { lazyProxy } from "./lazy_proxy.ts";
import type { LeaseFetch } from "../calls/lease_fetch.ts";
import type { AnyClient, ClientTemplate, PostgrestTemplate } from "../client_template.ts";
import type { HeaderRecord } from "../calls/project_request.ts";
import { isMistaken, sendable } from "./function_body.ts";
import { asClient, ofTable, remembering } from "./queries.ts";
import { memberOf, rememberResponse, responseOf } from "../../resilience/mod.ts";

/**
 * A view. Everything it hands out is created for it and sends through its lease's
 * `fetch`; nothing reachable from it is shared with another lease, so that
 * everything a holder changes (headers, a token set on `functions`, a prototype's
 * fields) dies with the lease.
 *
 * It has the members of a `SupabaseClient`, but `instanceof` says that it is not
 * one: that class would load auth and realtime, most of supabase-js, which an
 * isolate that verifies no token does not need for its first response.
 *
 * After its lease has ended, it sends nothing: each call rejects, as one without a network does, and none throws where a
 * timer of the program would not catch it.
 *
 * Not covered: the classes of the modules. `PostgrestClient` and the like are
 * global, the parts of a view inherit from them as those of every client do, and
 * code that changes their prototypes changes them for the whole isolate.
 */
class View {
  readonly #parts: ClientTemplate;
  readonly #calls: LeaseFetch;
  #queries: PostgrestTemplate | undefined = undefined;
  #rest: PostgrestTemplate | undefined = undefined;
  #functions: AnyClient["functions"] | undefined = undefined;
  #storage: AnyClient["storage"] | undefined = undefined;
  #auth: AnyClient["auth"] | undefined = undefined;

  constructor(parts: ClientTemplate, calls: LeaseFetch) {
    this.#parts = parts;
    this.#calls = calls;
  }

  /** Returns the error of a call of `client`, if that is a view; see {@linkcode transportFailure}. */
  static failureOf(client: object, error: unknown): unknown {
    return #calls in client ? failureBehind(client.#calls, error) : undefined;
  }

  from(...args: Parameters<AnyClient["from"]>): unknown {
    const table = this.#query().from(...args) as Partial<typeof ofTable>;
    table.select = ofTable.select;
    table.insert = ofTable.insert;
    table.upsert = ofTable.upsert;
    table.update = ofTable.update;
    table.delete = ofTable.delete;
    return table;
  }

  rpc(...args: Parameters<AnyClient["rpc"]>): unknown {
    return remembering(this.#query().rpc(...args));
  }

  schema(...args: Parameters<AnyClient["schema"]>): unknown {
    return asClient(this.#query().schema(...args));
  }

  getOpenApiSpec(): unknown {
    return asClient(this.#query()).getOpenApiSpec();
  }

  get rest(): PostgrestTemplate {
    // From now on queries are created by it, with what its holder does to its headers.
    return this.#queries = this.#rest ??= asClient(deriveRest(this.#parts, this.#calls, {
      headers: new Headers(this.#parts.queryHeaders),
      common: NONE,
    }));
  }

  get functions(): AnyClient["functions"] {
    return this.#functions ??= lazyFunctions(this.#parts, this.#calls);
  }

  get storage(): AnyClient["storage"] {
    const { storageUrl, headers } = this.#parts;
    return this.#storage ??= new StorageClient(storageUrl, { ...headers }, this.#calls.fetch);
  }

  get auth(): AnyClient["auth"] {
    return this.#auth ??= restrictedAuth(this.#parts, this.#calls);
  }

  get realtime(): never {
    throw new ViewRestrictedError("realtime", `a channel outlives its request; ${OWN_CLIENT}`);
  }

  channel(): never {
    throw new ViewRestrictedError("channel()", `a channel outlives its request; ${OWN_CLIENT}`);
  }

  getChannels(): never[] {
    return [];
  }

  removeChannel(): never {
    throw new ViewRestrictedError("removeChannel()", "it has no channels");
  }

  removeAllChannels(): Promise<never[]> {
    return Promise.resolve([]);
  }

  get supabaseUrl(): string {
    return this.#parts.supabaseUrl;
  }

  get headers(): Record<string, string> {
    return { ...this.#parts.headers };
  }

  get fetch(): typeof fetch {
    return this.#calls.fetch;
  }

  /**
   * Returns what creates queries. Every query copies its headers, so that it has
   * none until {@linkcode rest} is read: those that all queries have in common are
   * added when one is sent.
   */
  #query(): PostgrestTemplate {
    return this.#queries ??= deriveRest(this.#parts, this.#calls, {
      headers: undefined,
      common: this.#parts.queryHeaders,
    });
  }
}

const { failureOf } = View;

// What all views share is frozen: nothing that one holder leaves there reaches the next.
for (const shared of [View, View.prototype]) {
  for (const { value, get } of Object.values(Object.getOwnPropertyDescriptors(shared))) {
    if (typeof value === "function") Object.freeze(value);
    if (get) Object.freeze(get);
  }
  Object.freeze(shared);
}

/** The headers of queries. */
interface QueryHeaders {
  /** The query's own headers; `undefined` for none. */
  readonly headers: Headers | undefined;
  /** The headers that are added when the query is sent, unless it has one of that name. */
  readonly common: HeaderRecord;
}

const NONE: HeaderRecord = Object.freeze({});

function deriveRest(
  { rest: shared }: ClientTemplate,
  calls: LeaseFetch,
  { headers, common }: QueryHeaders,
): PostgrestTemplate {
  const rest: PostgrestTemplate = Object.create(Object.getPrototypeOf(shared));
  Object.assign(rest, shared);
  rest.headers = headers;
  const base: typeof fetch = (input, init) => calls.settings.fetch(input, init);
  // `from(table, { fetch })` and `schema()` wrap a fetch of their own: it is bound to the lease as well.
  rest.wrapFetch = (inner) => {
    const send = inner === base ? calls.settings.fetch : inner;
    return (input, init) => calls.send(input, init, send, common);
  };
  rest.baseFetch = base;
  rest.fetch = rest.wrapFetch(base);
  return rest;
}

/** Creates a client of the project's functions. functions-js is loaded on the first invocation: most requests make none. */
function lazyFunctions(
  { functionsUrl, headers: common }: ClientTemplate,
  calls: LeaseFetch,
): AnyClient["functions"] {
  const headers: Record<string, string> = { ...common };
  const client = lazyProxy(async () => {
    const { FunctionRegion, FunctionsClient } = await import("@supabase/functions-js");
    return new FunctionsClient(functionsUrl, { headers, customFetch: calls.fetch, region: FunctionRegion.Any });
  }, () => calls.markPending());
  const functions: Pick<AnyClient["functions"], "invoke" | "setAuth"> = {
    async invoke(name, options) {
      const body: unknown = options?.body;
      if (options === undefined || !isMistaken(body)) return await client.invoke(name, options);
      const pending = calls.markPending();
      let call;
      try {
        const sent = await sendable(options, body);
        call = pending.send(() => client.invoke(name, sent));
      } catch (error) {
        return { data: null, error };
      } finally {
        pending.settle();
      }
      return await call;
    },
    setAuth(token) {
      headers.Authorization = `Bearer ${token}`;
    },
  };
  return Object.assign(functions, { headers }) as unknown as AnyClient["functions"];
}

/** Creates the view that sends through `calls`. */
export function createView(parts: ClientTemplate, calls: LeaseFetch): AnyClient {
  return new View(parts, calls) as unknown as AnyClient;
}

/**
 * Returns the error of a call of `calls` behind `error`; `undefined` if there is none. The error of auth-js or storage-js
 * for a response remembers that response from then on.
 */
export function failureBehind(calls: LeaseFetch, error: unknown): unknown {
  if (responseOf(error)) return undefined;
  const failure = calls.failure(error);
  if (failure !== undefined) return failure;
  const status = memberOf(error, "status");
  const response = typeof status === "number" && error instanceof Error ? calls.rejection(status) : undefined;
  if (response) rememberResponse(error, response);
  return undefined;
}

/**
 * Returns the error that a call through a view threw. supabase-js flattens it to
 * `{ message: "Name: text" }` with status 0, without its code and cause. Returns
 * `undefined` unless `client` is a view and `error` such an object.
 */
export function transportFailure(client: unknown, error: unknown): unknown {
  return client !== null && typeof client === "object" ? failureOf(client, error) : undefined;
}
