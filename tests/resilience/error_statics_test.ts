import * as exported from "../../shared/resilience/mod.ts";
import { testErrorStatics } from "../support/error_statics.ts";

testErrorStatics("shared/resilience", exported, {
  CircuitOpenError: ["CIRCUIT_OPEN", "transient", 503],
  RetryTimeoutError: ["RETRY_TIMEOUT", "permanent", 504],
});
