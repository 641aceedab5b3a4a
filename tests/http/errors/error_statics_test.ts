import * as exported from "../../../shared/http/mod.ts";
import { testErrorStatics } from "../../support/error_statics.ts";

testErrorStatics("shared/http", exported, {
  BodyTooLargeError: ["BODY_TOO_LARGE", "permanent", 413],
  DeadlineExceededError: ["DEADLINE_EXCEEDED", "permanent", 504],
  DocumentedRequestError: ["undefined", "permanent", NaN],
  MalformedJsonError: ["MALFORMED_JSON", "permanent", 400],
  MethodNotAllowedError: ["METHOD_NOT_ALLOWED", "permanent", 405],
  MetricsOffError: ["METRICS_OFF", "permanent", 404],
  RequestError: ["undefined", "undefined", NaN],
  RouteNotFoundError: ["ROUTE_NOT_FOUND", "permanent", 404],
  UnexpectedError: ["INTERNAL_ERROR", "permanent", 500],
  UnsupportedMediaTypeError: ["UNSUPPORTED_MEDIA_TYPE", "permanent", 415],
  ValidationError: ["VALIDATION_FAILED", "permanent", 400],
});
