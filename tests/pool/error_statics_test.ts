import * as exported from "../../shared/pool/mod.ts";
import { testErrorStatics } from "../support/error_statics.ts";

testErrorStatics("shared/pool", exported, {
  AcquireAbortedError: ["ACQUIRE_ABORTED", "permanent", 503],
  AcquireTimeoutError: ["ACQUIRE_TIMEOUT", "permanent", 503],
  ConfigError: ["CONFIG_INVALID", "permanent", 500],
  CreateFailedError: ["CREATE_FAILED", "permanent", 500],
  CreateTimeoutError: ["CREATE_TIMEOUT", "transient", 503],
  DoubleReleaseError: ["DOUBLE_RELEASE", "permanent", 500],
  ForeignReleaseError: ["FOREIGN_RELEASE", "permanent", 500],
  HookTimeoutError: ["HOOK_TIMEOUT", "permanent", 500],
  LateReleaseError: ["LATE_RELEASE", "permanent", 500],
  LeaseReleasedError: ["LEASE_RELEASED", "permanent", 500],
  LeaseRevokedError: ["LEASE_REVOKED", "permanent", 503],
  NoResourceError: ["NO_RESOURCE", "permanent", 500],
  PoolClosedError: ["POOL_CLOSED", "permanent", 503],
  PoolError: ["undefined", "undefined", NaN],
  QueueFullError: ["QUEUE_FULL", "permanent", 503],
  ResourceInvalidError: ["RESOURCE_INVALID", "ambiguous", 500],
});
