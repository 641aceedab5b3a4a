/**
 * Cross-origin access to the Data API, Auth and Storage, as on the hosted gateway.
 * Functions handle their own.
 *
 * @module
 */

const METHODS = "GET,HEAD,PUT,PATCH,POST,DELETE,OPTIONS";
const DAY_S = 86_400;

/** Returns the response to a preflight request; `undefined` for another request. */
export function preflight(request: Request): Response | undefined {
  if (request.method !== "OPTIONS" || !request.headers.has("access-control-request-method")) return undefined;
  return new Response(null, {
    status: 204,
    headers: {
      "access-control-allow-origin": "*",
      "access-control-allow-methods": METHODS,
      "access-control-allow-headers": request.headers.get("access-control-request-headers") ?? "*",
      "access-control-max-age": String(DAY_S),
      "vary": "access-control-request-headers",
    },
  });
}

/** Allows any page to read `response`, including the headers of PostgREST. */
export function allowOrigin(response: Response): Response {
  if (!response.headers.has("access-control-allow-origin")) response.headers.set("access-control-allow-origin", "*");
  if (!response.headers.has("access-control-expose-headers")) {
    response.headers.set(
      "access-control-expose-headers",
      "Content-Location, Content-Range, ETag, Link, Location, Preference-Applied, X-Sb-Error-Code, " +
        "X-Supabase-Api-Version, X-Total-Count",
    );
  }
  return response;
}
