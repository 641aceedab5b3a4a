/**
 * An SSH tunnel to a database, for administrative and local use. An entry point of its own: hosted functions neither upload
 * nor load it.
 *
 * @module
 */

// The tunnel.
export {
  type OpenOptions,
  SSHTunnel,
  type TunnelEvents,
  type TunnelPostgresOptions,
  type TunnelStats,
} from "./ssh_tunnel.ts";
export { cleanup, type ShutsDown } from "./cleanup.ts";

// Configuration.
export {
  type EnvironmentFeatures,
  FEATURE_CONFIG,
  type FeatureConfig,
  readTunnelEnvironment,
  type ResolvedTunnelConfig,
  type TunnelConfig,
  tunnelFeatures,
} from "./config.ts";
export type { Variables } from "../../environment/mod.ts";
export { ConfigError } from "../../pool/mod.ts";
export type { ConnectFunction, ConnectTarget } from "../../postgres/mod.ts";

// Errors.
export {
  TunnelAuthError,
  TunnelChannelLimitError,
  TunnelChannelRefusedError,
  TunnelClosedError,
  TunnelConnectError,
  TunnelHostKeyChangedError,
  TunnelHostUnknownError,
  TunnelKeyError,
  TunnelKnownHostsError,
  TunnelLocalPortError,
  TunnelLostError,
  TunnelNotInitializedError,
} from "./errors.ts";
