/**
 * Cross-origin access to the Data API and Auth, as the hosted gateway grants
 * it. Functions do their own.
 *
 * @module
 */

const METHODS = "GET,HEAD,PUT,PATCH,POST,DELETE,OPTIONS";
const DAY_S = 86_400;

/** The answer to a preflight request; `undefined` if `request` is none. */
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

/** Lets any page read `response`, what PostgREST says in headers included. */
export function allowOrigin(response: Response): Response {
  if (!response.headers.has("access-control-allow-origin")) response.headers.set("access-control-allow-origin", "*");
  if (!response.headers.has("access-control-expose-headers")) {
    response.headers.set(
      "access-control-expose-headers",
      "Content-Location, Content-Range, Location, Preference-Applied, X-Sb-Error-Code",
    );
  }
  return response;
}
