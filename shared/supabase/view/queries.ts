/**
 * The queries of a view. They are those of postgrest-js, and remember status and headers of the response that an error
 * was created from: postgrest-js keeps its body only.
 *
 * @module
 */
import { PostgrestClient, PostgrestError, PostgrestFilterBuilder, PostgrestQueryBuilder } from "@supabase/postgrest-js";
import { memberOf, rememberResponse, responseOf } from "../../resilience/mod.ts";
import { NO_RETRY } from "../calls/read_retry.ts";

/** The status of a response that reports success, and whose body is not what it should be: that of a bad gateway. */
const UNREADABLE = 502;

/** The result of a query, as postgrest-js returns it. */
interface Result {
  readonly success: boolean;
  readonly error: unknown;
  readonly status: number;
}

/** A query, as this module sees it. */
interface Query {
  fetch: typeof fetch;
  readonly shouldThrowOnError: boolean;
}

/** The methods of postgrest-js that this module wraps. */
interface Library {
  processResponse(this: object, response: Response): Promise<Result>;
}
const library = PostgrestFilterBuilder.prototype as unknown as Library;
const tables = PostgrestQueryBuilder.prototype;
const clients = PostgrestClient.prototype;

/** Remembers that `error` was created from `response`. */
function note(error: unknown, response: Response, status: number): void {
  const known = responseOf(response);
  rememberResponse(error, {
    retryAfterMs: known?.retryAfterMs,
    asUser: known?.asUser ?? false,
    attempts: known?.attempts,
    status: status >= 400 ? status : UNREADABLE,
  });
}

/** Returns the result of a query, and remembers the response behind its error. */
async function processResponse(this: Query, response: Response): Promise<Result> {
  let result: Result;
  try {
    result = await library.processResponse.call(this, response);
  } catch (error) {
    // `throwOnError()`: two rows where `maybeSingle()` allows one have a status of their own.
    const status = memberOf(error, "code") === "PGRST116" ? 406 : response.status;
    if (error instanceof PostgrestError) note(error, response, status);
    throw error;
  }
  let { error } = result;
  if (error === null && result.status < 400) return result;
  if (typeof error !== "object" || error === null) {
    // The body of the error is JSON, but not an object: `null` would even pass for success.
    const message = typeof error === "string" ? error : JSON.stringify(error);
    error = this.shouldThrowOnError ? new PostgrestError({ message, details: "", hint: "", code: "" }) : { message };
    result = { ...result, success: false, error };
  }
  note(error, response, result.status);
  if (this.shouldThrowOnError) throw error;
  return result;
}

/** Returns the options of a call that is not to be retried. */
function optOut(init: RequestInit | undefined): RequestInit {
  const marked: RequestInit & { [NO_RETRY]: true } = { ...init, [NO_RETRY]: true };
  return marked;
}

/** The functions that {@linkcode retry} has replaced, by those that replaced them. */
const retrying = new WeakMap<typeof fetch, typeof fetch>();

/**
 * The methods that a query has in place of those of postgrest-js. They become members of each query: a prototype of their
 * own would cost ten times as much. Written as methods, since a function would have a `prototype` that all views share.
 */
const ofQuery = shared({
  processResponse,

  /** Turns the retries of a query off and on again; see `retry` of postgrest-js. Its own stay off: the view retries. */
  retry(this: Query, enabled: boolean): Query {
    const inner = retrying.get(this.fetch) ?? this.fetch;
    if (enabled) {
      this.fetch = inner;
    } else {
      this.fetch = (input, init) => inner(input, optOut(init));
      retrying.set(this.fetch, inner);
    }
    return this;
  },
});

/** Returns `query`, a new one, as one that remembers. */
export function remembering<Q extends object>(query: Q): Q {
  const own = query as Partial<typeof ofQuery>;
  own.processResponse = ofQuery.processResponse;
  own.retry = ofQuery.retry;
  return query;
}

/** The methods of what `from` returns: they return queries that remember. */
export const ofTable = shared({
  select(this: object, ...args: unknown[]): object {
    return remembering(Reflect.apply(tables.select, this, args));
  },
  insert(this: object, ...args: unknown[]): object {
    return remembering(Reflect.apply(tables.insert, this, args));
  },
  upsert(this: object, ...args: unknown[]): object {
    return remembering(Reflect.apply(tables.upsert, this, args));
  },
  update(this: object, ...args: unknown[]): object {
    return remembering(Reflect.apply(tables.update, this, args));
  },
  delete(this: object, ...args: unknown[]): object {
    return remembering(Reflect.apply(tables.delete, this, args));
  },
});

/** The methods of what creates queries. */
const ofClient = shared({
  from(this: object, ...args: unknown[]): object {
    return Object.assign(Reflect.apply(clients.from, this, args), ofTable);
  },
  rpc(this: object, ...args: unknown[]): object {
    return remembering(Reflect.apply(clients.rpc, this, args));
  },
  schema(this: object, ...args: unknown[]): object {
    return asClient(Reflect.apply(clients.schema, this, args));
  },
  async getOpenApiSpec(this: { readonly fetch: typeof fetch }): Promise<Result> {
    let response: Response | undefined;
    const fetch: typeof this.fetch = async (input, init) => response = await this.fetch(input, init);
    const own = Object.create(this, { fetch: { value: fetch } });
    const result: Result = await Reflect.apply(clients.getOpenApiSpec, own, []);
    if (result.error && response) note(result.error, response, result.status);
    return result;
  },
});

/** Returns `client`, which creates queries, as one whose queries remember. */
export function asClient<Client extends object>(client: Client): Client {
  return Object.assign(client, ofClient) as Client;
}

/** Freezes methods that all views share: nothing that one holder leaves there reaches the next. */
function shared<Methods extends object>(methods: Methods): Methods {
  for (const method of Object.values(methods)) Object.freeze(method);
  return Object.freeze(methods);
}
