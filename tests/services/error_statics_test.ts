import { assertEquals } from "@std/assert";
import * as exported from "../../shared/services/mod.ts";
import { errorStatics } from "../support/error_statics.ts";

Deno.test("each error class of shared/services has its code, retry class and HTTP status", () => {
  assertEquals(errorStatics(exported), {
    ApiKeyRejectedError: ["API_KEY_REJECTED", "permanent", 500],
    NotFoundError: ["NOT_FOUND", "permanent", 404],
    ServiceError: ["DATA_API", "undefined", 502],
    UpstreamFailedError: ["UPSTREAM_FAILED", "undefined", 502],
    UpstreamUnavailableError: ["UPSTREAM_UNAVAILABLE", "undefined", 503],
  });
});
