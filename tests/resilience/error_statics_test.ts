import { assertEquals } from "@std/assert";
import * as exported from "../../shared/resilience/mod.ts";
import { errorStatics } from "../support/error_statics.ts";

Deno.test("each error class of shared/resilience has its code, retry class and HTTP status", () => {
  assertEquals(errorStatics(exported), {
    CircuitOpenError: ["CIRCUIT_OPEN", "transient", 503],
    RetryTimeoutError: ["RETRY_TIMEOUT", "permanent", 504],
  });
});
