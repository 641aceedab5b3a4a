import * as log from "../../shared/data/connection_log/mod.ts";
import * as data from "../../shared/data/mod.ts";
import * as tunnel from "../../shared/data/tunnel/mod.ts";
import { testErrorStatics } from "../support/error_statics.ts";

testErrorStatics("shared/data", data, {
  DatabaseNotInitializedError: ["DATABASE_NOT_INITIALIZED", "permanent", 500],
  InvalidCursorError: ["CURSOR_INVALID", "permanent", 400],
  InvalidQueryError: ["QUERY_INVALID", "permanent", 400],
  KyselyDestroyedError: ["KYSELY_DESTROYED", "permanent", 500],
  KyselyUnsupportedError: ["KYSELY_UNSUPPORTED", "permanent", 500],
  NoPrimaryError: ["NO_PRIMARY", "transient", 503],
  TargetDownError: ["TARGET_DOWN", "transient", 503],
  TargetRoleError: ["TARGET_ROLE", "transient", 503],
  TargetUnknownError: ["TARGET_UNKNOWN", "permanent", 500],
  WhereMissingError: ["WHERE_MISSING", "permanent", 500],
});

testErrorStatics("shared/data/connection_log", log, {
  ConnectionLogClosedError: ["CONNECTION_LOG_CLOSED", "permanent", 500],
});

testErrorStatics("shared/data/tunnel", tunnel, {
  ConfigError: ["CONFIG_INVALID", "permanent", 500],
  TunnelAuthError: ["TUNNEL_AUTH_FAILED", "permanent", 500],
  TunnelChannelLimitError: ["TUNNEL_CHANNEL_LIMIT", "transient", 503],
  TunnelChannelRefusedError: ["TUNNEL_CHANNEL_REFUSED", "transient", 503],
  TunnelClosedError: ["TUNNEL_CLOSED", "permanent", 503],
  TunnelConnectError: ["TUNNEL_CONNECT_FAILED", "transient", 503],
  TunnelHostKeyChangedError: ["TUNNEL_HOST_KEY_CHANGED", "permanent", 500],
  TunnelHostUnknownError: ["TUNNEL_HOST_UNKNOWN", "permanent", 500],
  TunnelKeyError: ["TUNNEL_KEY_INVALID", "permanent", 500],
  TunnelKnownHostsError: ["TUNNEL_KNOWN_HOSTS", "permanent", 500],
  TunnelLocalPortError: ["TUNNEL_LOCAL_PORT", "permanent", 500],
  TunnelLostError: ["TUNNEL_LOST", "transient", 503],
  TunnelNotInitializedError: ["TUNNEL_NOT_INITIALIZED", "permanent", 500],
});
