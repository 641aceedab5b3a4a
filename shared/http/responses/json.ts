/**
 * Common JSON responses.
 *
 * @module
 */

/**
 * Creates a 201 response with the new row and its address. The address is relative (RFC 9110, section 10.2.2): a
 * function does not see the path that the client used.
 */
export function createdResponse(request: Request, row: { readonly id: string }): Response {
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

/** Creates a 200 response that no cache may keep, for data of one caller. */
export function jsonNoStore(body: unknown): Response {
  return Response.json(body, { headers: { "Cache-Control": "no-store" } });
}
