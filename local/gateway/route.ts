/**
 * Routes of the gateway.
 *
 * @module
 */

/** The destination of a request. */
export type Route =
  /** To a function; `path` begins with its name, as the function sees it. */
  | { readonly to: "function"; readonly name: string; readonly path: string }
  /** To the Data API or Auth, under the same path. */
  | { readonly to: "data"; readonly path: string }
  /** To no part of the stack. */
  | { readonly to: "nowhere" };

const FUNCTIONS = "/functions/v1/";

/** Returns the route of a path. */
export function routeOf(pathname: string): Route {
  // A shorthand for the function health; its name is part of the path.
  if (/^\/health\/[^/]/.test(pathname)) return { to: "function", name: "health", path: pathname };
  if (/^\/(?:rest|auth)\/v1(?:\/|$)/.test(pathname)) return { to: "data", path: pathname };
  if (!pathname.startsWith(FUNCTIONS)) return { to: "nowhere" };
  const path = pathname.slice(FUNCTIONS.length - 1);
  const name = path.slice(1).split("/", 1)[0] ?? "";
  return name === "" ? { to: "nowhere" } : { to: "function", name, path };
}

/**
 * Returns whether a `Host` header names this machine and `port`. A page whose own
 * name resolves to 127.0.0.1 sends that name.
 */
export function isOwnHost(host: string, port: number): boolean {
  const match = /^(localhost|127\.0\.0\.1|\[::1\])(?::(\d+))?$/i.exec(host);
  return match !== null && Number(match[2] ?? 80) === port;
}
