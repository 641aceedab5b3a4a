import * as exported from "../../shared/services/mod.ts";
import { testErrorStatics } from "../support/error_statics.ts";

testErrorStatics("shared/services", exported, {
  ApiKeyRejectedError: ["API_KEY_REJECTED", "permanent", 500],
  NotFoundError: ["NOT_FOUND", "permanent", 404],
  ServiceError: ["DATA_API", "undefined", 502],
  UpstreamFailedError: ["UPSTREAM_FAILED", "undefined", 502],
  UpstreamUnavailableError: ["UPSTREAM_UNAVAILABLE", "undefined", 503],
});
