import { assertEquals } from "@std/assert";
import * as exported from "../../../shared/http/mod.ts";
import { errorStatics } from "../../support/error_statics.ts";

Deno.test("each error class of shared/http has its code, retry class and HTTP status", () => {
  assertEquals(errorStatics(exported), {
    BodyTooLargeError: ["BODY_TOO_LARGE", "permanent", 413],
    DeadlineExceededError: ["DEADLINE_EXCEEDED", "permanent", 504],
    DocumentedRequestError: ["undefined", "permanent", NaN],
    MalformedJsonError: ["MALFORMED_JSON", "permanent", 400],
    MethodNotAllowedError: ["METHOD_NOT_ALLOWED", "permanent", 405],
    RequestError: ["undefined", "undefined", NaN],
    RouteNotFoundError: ["ROUTE_NOT_FOUND", "permanent", 404],
    UnexpectedError: ["INTERNAL_ERROR", "permanent", 500],
    UnsupportedMediaTypeError: ["UNSUPPORTED_MEDIA_TYPE", "permanent", 415],
    ValidationError: ["VALIDATION_FAILED", "permanent", 400],
  });
});
