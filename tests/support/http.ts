/**
 * `shared/http`, watched: what its handlers answer and log is searched for the
 * secrets they are given and the credentials that callers send. A test that
 * shows one fails, whatever it is about. Tests import from here; one in
 * `tests/isolation` sees to it that they do.
 *
 * @module
 */
import * as http from "../../shared/http/mod.ts";
import type { Variables } from "../../shared/environment/mod.ts";
import { SecretWatch } from "./secret_watch.ts";

export * from "../../shared/http/mod.ts";

type Handle = (request: Request) => Promise<Response>;

/** Variables that hold secrets: one each, or several as the values of a JSON object. */
const SECRET_VARIABLES = /KEYS?$|SECRET|PASSWORD/;

function knowVariables(watch: SecretWatch, variables: Variables): void {
  for (const [name, value] of Object.entries(variables)) {
    if (!value || !SECRET_VARIABLES.test(name)) continue;
    watch.know(name, value);
    try {
      for (const key of Object.values(JSON.parse(value))) if (typeof key === "string") watch.know(name, key);
    } catch {
      // One value, and no list.
    }
  }
}

function knowCredentials(watch: SecretWatch, { headers }: Request): void {
  watch.know("the caller's apikey", headers.get("apikey"));
  // Duplicates are joined by commas; the scheme is too short to be known.
  for (const word of (headers.get("authorization") ?? "").split(/[\s,]+/)) {
    watch.know("the caller's authorization", word);
  }
}

/** Whether a body is data that a handler or this library writes as JSON, rather than a stream passed on. */
function isJson({ headers, bodyUsed, status }: Response): boolean {
  return !bodyUsed && status !== 101 && /^application\/([\w.-]+\+)?json\b/.test(headers.get("content-type") ?? "");
}

/**
 * `handle`, its answers searched.
 *
 * @throws {SecretShownError} instead of an answer that shows a secret.
 */
export function watched(handle: Handle, watch: SecretWatch): Handle {
  return async (request) => {
    knowCredentials(watch, request);
    const response = await handle(request);
    watch.inspectHeaders("an answer", response);
    if (isJson(response)) watch.inspect(`an answer of ${response.status}`, await response.clone().text());
    return response;
  };
}

/** A watch that knows the secrets of `variables`. */
export function watchOf(variables: Variables): SecretWatch {
  const watch = new SecretWatch();
  knowVariables(watch, variables);
  return watch;
}

/** `log`, its lines searched. */
function inspected(log: http.LogSink, watch: SecretWatch): http.LogSink {
  return (line) => {
    try {
      watch.inspect("the log", line);
    } catch (error) {
      // Whoever logs may well catch what the log throws: this cannot be caught.
      reportError(error);
    }
    return log(line);
  };
}

/** {@linkcode http.withPooledSupabase}, watched. */
// deno-lint-ignore no-explicit-any -- as the original defaults to
export function withPooledSupabase<Database = any>(
  options: http.PooledSupabaseOptions<Database>,
  handler: http.PooledHandler<Database>,
): Handle {
  const { log = console.error, variables = {}, env = {}, jwtSecret } = options;
  const watch = watchOf(variables);
  for (const keys of [env.publishableKeys, env.secretKeys]) {
    for (const [name, key] of Object.entries(keys ?? {})) watch.know(`the key ${name}`, key);
  }
  watch.know("the shared secret", jwtSecret);
  return watched(http.withPooledSupabase<Database>({ ...options, log: inspected(log, watch) }, handler), watch);
}

/** {@linkcode http.healthRoute}, watched. */
export function healthRoute<Database = unknown>(options: http.HealthRouteOptions<Database> = {}): Handle {
  const { log = console.error, variables = {} } = options;
  const watch = watchOf(variables);
  return watched(http.healthRoute<Database>({ ...options, log: inspected(log, watch) }), watch);
}
