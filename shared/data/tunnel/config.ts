/**
 * The options of an SSH tunnel, with their defaults.
 *
 * @module
 */
import * as z from "zod";
import { VariableReader, type Variables } from "../../environment/mod.ts";
import {
  checkEachOption,
  ConfigError,
  type ConfigIssue,
  type LazySchema,
  lazySchema,
  whole,
  yesOrNo,
} from "../../pool/mod.ts";
import { MAX_TIMER_MS } from "../../resilience/mod.ts";

/** Options of an SSH tunnel. All times are in milliseconds. */
export interface TunnelConfig {
  /** The name or address of the SSH server. */
  readonly sshHost: string;
  /** The port of the SSH server. Default: 22. */
  readonly sshPort?: number | undefined;
  /** The user to log in as. */
  readonly sshUsername: string;
  /** The path of the private key; `~` is the home folder. */
  readonly sshKeyPath: string;
  /** The host of the database, as the SSH server sees it. Default: `localhost`. */
  readonly remoteHost?: string | undefined;
  /** The port of the database. Default: 5432. */
  readonly remotePort?: number | undefined;
  /**
   * A port of 127.0.0.1 that leads to the database, for other programs; 0 for any that is free. A pool needs none. Default:
   * none.
   */
  readonly localPort?: number | undefined;
  /** The number of retries of `connect`. Default: 3. */
  readonly maxRetries?: number | undefined;
  /** The delay before the first retry; it doubles with each one, up to 30,000. Default: 1,000. */
  readonly retryDelay?: number | undefined;
  /**
   * The interval at which the tunnel verifies that the server responds, and connects again if it does not; 0 for none.
   * Default: 60,000.
   */
  readonly healthCheckInterval?: number | undefined;
  /** The number of channels that may be open at once: one per connection. Default: 10. */
  readonly maxPoolSize?: number | undefined;
  /** The time limit of reaching the server and logging in. Default: 10,000. */
  readonly connectTimeout?: number | undefined;
  /** The passphrase of the private key. Never shown. Default: none. */
  readonly sshKeyPassphrase?: string | undefined;
  /**
   * The known_hosts files. Default: `~/.ssh/known_hosts` and `/etc/ssh/ssh_known_hosts`, of which either may be missing.
   */
  readonly sshKnownHostsPath?: string | readonly string[] | undefined;
  /**
   * The keys that the server may have, in place of known_hosts: fingerprints (`SHA256:...`) or public keys
   * (`ssh-ed25519 AAAA...`). Default: those of known_hosts.
   */
  readonly sshHostKey?: string | readonly string[] | undefined;
  /**
   * False to accept any server: an impostor can then read and change everything. Only for servers on this machine.
   * Default: true.
   */
  readonly verifyHostKey?: boolean | undefined;
}

/** The options of a tunnel, complete. */
export interface ResolvedTunnelConfig {
  /** See {@linkcode TunnelConfig.sshHost}. */
  readonly sshHost: string;
  /** See {@linkcode TunnelConfig.sshPort}. */
  readonly sshPort: number;
  /** See {@linkcode TunnelConfig.sshUsername}. */
  readonly sshUsername: string;
  /** See {@linkcode TunnelConfig.sshKeyPath}. */
  readonly sshKeyPath: string;
  /** See {@linkcode TunnelConfig.remoteHost}. */
  readonly remoteHost: string;
  /** See {@linkcode TunnelConfig.remotePort}. */
  readonly remotePort: number;
  /** See {@linkcode TunnelConfig.localPort}. */
  readonly localPort: number | undefined;
  /** See {@linkcode TunnelConfig.maxRetries}. */
  readonly maxRetries: number;
  /** See {@linkcode TunnelConfig.retryDelay}. */
  readonly retryDelay: number;
  /** See {@linkcode TunnelConfig.healthCheckInterval}. */
  readonly healthCheckInterval: number;
  /** See {@linkcode TunnelConfig.maxPoolSize}. */
  readonly maxPoolSize: number;
  /** See {@linkcode TunnelConfig.connectTimeout}. */
  readonly connectTimeout: number;
  /** See {@linkcode TunnelConfig.sshKeyPassphrase}. */
  readonly sshKeyPassphrase: string | undefined;
  /** See {@linkcode TunnelConfig.sshKnownHostsPath}. */
  readonly sshKnownHostsPath: string | readonly string[] | undefined;
  /** See {@linkcode TunnelConfig.sshHostKey}. */
  readonly sshHostKey: string | readonly string[] | undefined;
  /** See {@linkcode TunnelConfig.verifyHostKey}. */
  readonly verifyHostKey: boolean;
}

/** Limits and times of one environment, of the manager and of its tunnel. All times are in milliseconds. */
export interface EnvironmentFeatures {
  /** `maxConnections` of the manager. */
  readonly maxConnections: number;
  /** `idleTimeoutMs` of the manager. */
  readonly idleTimeout: number;
  /** `connectionTimeoutMs` of the manager. */
  readonly connectionTimeout: number;
  /** The interval of health checks, of the manager and of the tunnel. */
  readonly healthCheckInterval: number;
  /** The options of the tunnel. */
  readonly sshTunnel: {
    /** The number of channels that may be open at once. */
    readonly maxPoolSize: number;
    /** The number of retries of `connect`. */
    readonly maxRetries: number;
    /** The delay before the first retry. */
    readonly retryDelay: number;
  };
}

/** The values of the specification by environment. */
export interface FeatureConfig {
  /** For a developer's machine. */
  readonly development: EnvironmentFeatures;
  /** For a server with a database of its own. */
  readonly production: EnvironmentFeatures;
}

/** The values of the specification for development and production. */
export const FEATURE_CONFIG: FeatureConfig = Object.freeze({
  development: Object.freeze({
    maxConnections: 20,
    idleTimeout: 30_000,
    connectionTimeout: 2_000,
    healthCheckInterval: 60_000,
    sshTunnel: Object.freeze({ maxPoolSize: 10, maxRetries: 3, retryDelay: 1_000 }),
  }),
  production: Object.freeze({
    maxConnections: 100,
    idleTimeout: 30_000,
    connectionTimeout: 3_000,
    healthCheckInterval: 30_000,
    sshTunnel: Object.freeze({ maxPoolSize: 20, maxRetries: 5, retryDelay: 2_000 }),
  }),
});

/** Returns the options of a tunnel that an environment sets. */
export function tunnelFeatures(
  environment: keyof FeatureConfig,
): Pick<ResolvedTunnelConfig, "healthCheckInterval" | "maxPoolSize" | "maxRetries" | "retryDelay"> {
  const { healthCheckInterval, sshTunnel } = FEATURE_CONFIG[environment];
  return { healthCheckInterval, ...sshTunnel };
}

/** Text without control characters: nothing of it can be another line of a file or a log. */
const text = (what: string) =>
  lazySchema(() => {
    const error = `must be ${what}`;
    // deno-lint-ignore no-control-regex -- control characters are what it rejects
    return z.string({ error }).regex(/^[^\0-\x1f\x7f]+$/, { error });
  });
const host = lazySchema(() => {
  const error = "must be one host name or address, without a port";
  return z.string({ error }).regex(/^([^\s\0,/:@[\]]+|[\da-f.]*:[\da-f:.]+(%[\w.-]+)?)$/i, { error });
});

/**
 * Marks of the content of a key, which no path has: a path is shown in errors. Variables often hold a key in one line, with
 * `\n` in place of its line breaks, or in base64.
 */
const KEY_CONTENT = /-----BEGIN|PuTTY-User-Key-File|^(b3BlbnNzaC1rZXkt|LS0tLS1CRUdJTi|MII[\w+/]{60})|.{1025}/i;

const keyPath = lazySchema(() => {
  const what = "the path of a private key, not its content";
  return text(what)().refine((path) => !KEY_CONTENT.test(path), { error: `must be ${what}` });
});
const ms = (min: number) => whole(min, MAX_TIMER_MS);
const texts = (what: string) => lazySchema(() => z.union([text(what)(), z.array(text(what)()).min(1)]));

/** The form of one accepted key: a fingerprint, or a public key. */
const HOST_KEY =
  /^(SHA256:[A-Za-z\d+/]{43}=?|(ssh-ed25519|ssh-rsa|ecdsa-sha2-nistp(256|384|521)) [A-Za-z\d+/]{16,}={0,2}( .*)?)$/;

const tunnelShape = {
  sshHost: host,
  sshPort: whole(1, 65_535),
  sshUsername: text("the name of a user"),
  sshKeyPath: keyPath,
  remoteHost: host,
  remotePort: whole(1, 65_535),
  localPort: whole(0, 65_535),
  maxRetries: whole(0, 100),
  retryDelay: ms(1),
  healthCheckInterval: ms(0),
  maxPoolSize: whole(1, 1_000),
  connectTimeout: ms(1),
  sshKeyPassphrase: lazySchema(() =>
    z.string({ error: "must be a passphrase" }).min(1, { error: "must not be empty" })
  ),
  sshKnownHostsPath: texts("the path of a known_hosts file"),
  sshHostKey: lazySchema(() => {
    const error = "must be a fingerprint, SHA256: and 43 characters, or a public key such as ssh-ed25519 AAAA...";
    const one = z.string({ error }).regex(HOST_KEY, { error });
    return z.union([one, z.array(one).min(1)], { error });
  }),
  verifyHostKey: yesOrNo,
} satisfies Record<keyof TunnelConfig, LazySchema>;

const DEFAULTS: Omit<ResolvedTunnelConfig, "sshHost" | "sshUsername" | "sshKeyPath"> = {
  sshPort: 22,
  remoteHost: "localhost",
  remotePort: 5432,
  localPort: undefined,
  ...tunnelFeatures("development"),
  connectTimeout: 10_000,
  sshKeyPassphrase: undefined,
  sshKnownHostsPath: undefined,
  sshHostKey: undefined,
  verifyHostKey: true,
};

const REQUIRED = ["sshHost", "sshUsername", "sshKeyPath"] as const;

/**
 * Returns `input` with defaults for missing options.
 *
 * @throws {ConfigError} listing every missing, unknown and bad option, without values.
 */
export function parseTunnelConfig(input: TunnelConfig): ResolvedTunnelConfig {
  const { given, issues } = checkEachOption(input, tunnelShape, DEFAULTS);
  for (const value of Object.values(given)) if (Array.isArray(value)) Object.freeze(value);
  for (const path of REQUIRED) {
    if (input[path] === undefined) issues.push({ path, message: "must be set" });
  }
  if (issues.length > 0) throw new ConfigError(issues, "SSH tunnel configuration");
  return Object.freeze({ ...DEFAULTS, ...given } as ResolvedTunnelConfig);
}

const VARIABLES = {
  SSH_HOST: "sshHost",
  SSH_PORT: "sshPort",
  SSH_USER: "sshUsername",
  SSH_KEY_PATH: "sshKeyPath",
  SSH_REMOTE_HOST: "remoteHost",
  SSH_REMOTE_PORT: "remotePort",
  SSH_LOCAL_PORT: "localPort",
  SSH_MAX_CHANNELS: "maxPoolSize",
  SSH_KEY_PASSPHRASE: "sshKeyPassphrase",
  SSH_KNOWN_HOSTS_PATH: "sshKnownHostsPath",
  SSH_HOST_KEY: "sshHostKey",
  SSH_VERIFY_HOST_KEY: "verifyHostKey",
} as const satisfies Record<string, keyof TunnelConfig>;

/**
 * Reads the options of a tunnel from `SSH_*`. With `DB_PRESET=production`, limits and times are those of production.
 *
 * @param variables Environment variables by name. Default: those of this process.
 * @throws {ConfigError} listing every missing and bad variable.
 */
export function readTunnelEnvironment(variables?: Variables): TunnelConfig {
  const reader = new VariableReader(variables);
  const options = Object.entries(VARIABLES).map(([name, option]) => {
    const secret = option === "sshKeyPassphrase";
    return [option, reader.value<unknown>(name, tunnelShape[option], { secret })] as const;
  });
  const config: Record<string, unknown> = Object.fromEntries(options.filter(([, value]) => value !== undefined));
  const issues: ConfigIssue[] = [...reader.issues];
  for (const [name, option] of Object.entries(VARIABLES)) {
    const isRequired = REQUIRED.some((required) => required === option);
    if (isRequired && reader.find(name) === undefined) issues.push({ path: name, message: "must be set" });
  }
  if (issues.length > 0) throw new ConfigError(issues, "environment");
  const environment = reader.text("DB_PRESET")?.toLowerCase() === "production" ? "production" : "development";
  return { ...tunnelFeatures(environment), ...config } as unknown as TunnelConfig;
}
