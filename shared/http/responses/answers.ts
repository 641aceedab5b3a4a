/**
 * Answers that handlers give often.
 *
 * @module
 */

/**
 * 201 with the new row and where it is. The address is relative (RFC 9110,
 * 10.2.2): a function does not see the path it is reached by from outside.
 */
export function created(request: Request, row: { readonly id: string }): Response {
  const { pathname } = new URL(request.url);
  const last = pathname.slice(pathname.lastIndexOf("/") + 1);
  return Response.json(row, {
    status: 201,
    headers: {
      Location: last === "" ? row.id : `${last}/${row.id}`,
      "Cache-Control": "no-store",
      "Access-Control-Expose-Headers": "Location",
    },
  });
}

/** 200 with what is one caller's own: no cache may keep it. */
export function privateJson(body: unknown): Response {
  return Response.json(body, { headers: { "Cache-Control": "no-store" } });
}
