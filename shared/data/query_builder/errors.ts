/**
 * The errors of the query builder. Each is thrown before anything is sent.
 *
 * @module
 */
import { PoolError } from "../../pool/mod.ts";
import { type HttpDescription, INTERNAL_ERROR } from "../../resilience/mod.ts";

/**
 * A part of a query is invalid: a name, an operator, a direction, a value or a combination.
 *
 * @cause The message names the part and the reason. Where it came from a request, the request is invalid.
 * @fix Correct the call, or check the input before it.
 * @sample new InvalidQueryError('Cannot order by direction "sideways": use "asc" or "desc"')
 */
export class InvalidQueryError extends PoolError {
  /** The code in logs and responses. */
  static override readonly code = "QUERY_INVALID";
  /** The retry class. */
  static override readonly retry = "permanent";
  /** The response to a request that fails with it. */
  static override readonly http: HttpDescription = {
    status: 400,
    title: "Invalid query",
    detail: "A column, an operator, a direction or a value of the request cannot be used",
  };
}

/**
 * An update or a delete has no condition, and would change every row.
 *
 * @cause `update` or `delete` was called without `where`.
 * @fix Add a `where`, or call `all()` before it to change every row.
 * @sample new WhereMissingError("delete")
 */
export class WhereMissingError extends PoolError {
  /** The code in logs and responses. */
  static override readonly code = "WHERE_MISSING";
  /** The retry class. */
  static override readonly retry = "permanent";
  /** The response to a request that fails with it. */
  static override readonly http: HttpDescription = INTERNAL_ERROR;

  /**
   * Creates the error.
   *
   * @param method The method that was called.
   */
  constructor(method: "update" | "delete") {
    super(`Cannot ${method} every row: add a where(), or call all() before ${method}()`);
  }
}

/**
 * A cursor of `paginate` is not one that this query returned.
 *
 * @cause It was changed or shortened, or belongs to a query with another table or order.
 * @fix Pass `next` of the page before, unchanged, or none for the first page.
 * @sample new InvalidCursorError()
 */
export class InvalidCursorError extends PoolError {
  /** The code in logs and responses. */
  static override readonly code = "CURSOR_INVALID";
  /** The retry class. */
  static override readonly retry = "permanent";
  /** The response to a request that fails with it. */
  static override readonly http: HttpDescription = {
    status: 400,
    title: "Invalid cursor",
    detail: "The cursor does not belong to this list: begin with the first page",
  };

  /** Creates the error. */
  constructor(options?: ErrorOptions) {
    super("Cannot read the page: the cursor does not belong to this query", options);
  }
}
