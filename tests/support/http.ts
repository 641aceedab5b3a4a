/**
 * `shared/http` with a watch for secrets: the responses and logs of its handlers are
 * searched for their secrets and for the credentials of callers. A test in which
 * one appears fails. Tests import from here; a test in `tests/isolation` checks
 * that they do.
 *
 * @module
 */
import * as http from "../../shared/http/mod.ts";
import type { Variables } from "../../shared/environment/mod.ts";
import { SecretWatch } from "./secret_watch.ts";

export * from "../../shared/http/mod.ts";

type Handle = (request: Request) => Promise<Response>;

/** Names of variables with secrets: one each, or several as the values of a JSON object. */
const SECRET_VARIABLES = /KEYS?$|SECRET|PASSWORD/;

function knowVariables(watch: SecretWatch, variables: Variables): void {
  for (const [name, value] of Object.entries(variables)) {
    if (!value || !SECRET_VARIABLES.test(name)) continue;
    watch.know(name, value);
    try {
      for (const key of Object.values(JSON.parse(value))) if (typeof key === "string") watch.know(name, key);
    } catch {
      // It is one value.
    }
  }
}

function knowCredentials(watch: SecretWatch, { headers }: Request): void {
  watch.know("the caller's apikey", headers.get("apikey"));
  // Duplicates are joined by commas; the scheme is too short to be a secret.
  for (const word of (headers.get("authorization") ?? "").split(/[\s,]+/)) {
    watch.know("the caller's authorization", word);
  }
}

/** Returns whether a body is JSON that a handler or this library wrote, and not a stream that was passed on. */
function isJson({ headers, bodyUsed, status }: Response): boolean {
  return !bodyUsed && status !== 101 && /^application\/([\w.-]+\+)?json\b/.test(headers.get("content-type") ?? "");
}

/**
 * Wraps `handle` to inspect its responses.
 *
 * @throws {SecretShownError} Instead of a response that contains a secret.
 */
export function watched(handle: Handle, watch: SecretWatch): Handle {
  return async (request) => {
    knowCredentials(watch, request);
    const response = await handle(request);
    watch.inspectHeaders("a response", response);
    if (isJson(response)) watch.inspect(`a response of ${response.status}`, await response.clone().text());
    return response;
  };
}

/** Creates a watch for the secrets of `variables`. */
export function watchOf(variables: Variables): SecretWatch {
  const watch = new SecretWatch();
  knowVariables(watch, variables);
  return watch;
}

/** Wraps `log` to inspect its lines. */
function inspected(log: http.LogSink, watch: SecretWatch): http.LogSink {
  return (line) => {
    try {
      watch.inspect("the log", line);
    } catch (error) {
      // The caller may catch errors of the log; this cannot be caught.
      reportError(error);
    }
    return log(line);
  };
}

/** Wraps {@linkcode http.withPooledSupabase} with a watch for secrets. */
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

/** Wraps {@linkcode http.healthRoute} with a watch for secrets. */
export function healthRoute<Database = unknown>(options: http.HealthRouteOptions<Database> = {}): Handle {
  const { log = console.error, variables = {} } = options;
  const watch = watchOf(variables);
  return watched(http.healthRoute<Database>({ ...options, log: inspected(log, watch) }), watch);
}
