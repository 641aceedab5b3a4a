/**
 * Routes of the gateway.
 *
 * @module
 */

/** The destination of a request. */
export type Route =
  /** To a function; `path` begins with its name, as the function sees it. */
  | { readonly to: "function"; readonly name: string; readonly path: string }
  /** To the Data API, Auth or Storage, or to the mails of Auth, under the same path. */
  | { readonly to: "data"; readonly path: string }
  /** To a service of the hosted platform that the local stack does not have. */
  | { readonly to: "absent"; readonly service: string }
  /** To no part of the stack. */
  | { readonly to: "nowhere" };

const FUNCTIONS = "/functions/v1/";

const ABSENT: Readonly<Record<string, string>> = {
  "/realtime/v1": "Realtime",
  "/graphql/v1": "GraphQL",
  "/analytics/v1": "Analytics",
  "/pg": "The API of Studio",
  "/pooler/v2": "The pooler",
};

/** Returns the route of a path. */
export function routeOf(pathname: string): Route {
  // A shorthand for the function health; its name is part of the path.
  if (/^\/health\/[^/]/.test(pathname)) return { to: "function", name: "health", path: pathname };
  if (/^\/(?:rest|auth|storage)\/v1(?:\/|$)|^\/mail(?:\.json)?$/.test(pathname)) return { to: "data", path: pathname };
  for (const [path, service] of Object.entries(ABSENT)) {
    if (pathname === path || pathname.startsWith(`${path}/`)) return { to: "absent", service };
  }
  if (!pathname.startsWith(FUNCTIONS)) return { to: "nowhere" };
  const path = pathname.slice(FUNCTIONS.length - 1);
  const name = path.slice(1).split("/", 1)[0] ?? "";
  return name === "" ? { to: "nowhere" } : { to: "function", name, path };
}

/**
 * Returns whether a `Host` header names this machine and `port`, or one of `allowed`. A page whose own name resolves to
 * 127.0.0.1 sends that name.
 *
 * @param allowed More names; one without a port allows any port. Default: none.
 */
export function isOwnHost(host: string, port: number, allowed: readonly string[] = []): boolean {
  const match = /^(localhost|127\.0\.0\.1|\[::1\])(?::(\d+))?$/i.exec(host);
  if (match !== null) return Number(match[2] ?? 80) === port;
  const name = /^([^\s,:@/]+|\[[\da-f:.]+\])(?::\d+)?$/i.exec(host)?.[1];
  return name !== undefined &&
    allowed.some((entry) => [host, name].some((part) => part.toLowerCase() === entry.toLowerCase()));
}
