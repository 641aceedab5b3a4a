/**
 * The errors of an SSH tunnel. None shows the content of a key file or a passphrase.
 *
 * @module
 */
import { PoolError } from "../../pool/mod.ts";
import { ConnectLimitError } from "../../postgres/mod.ts";
import { type FailureKind, type HttpDescription, INTERNAL_ERROR, SERVICE_UNAVAILABLE } from "../../resilience/mod.ts";

const UNREACHABLE: HttpDescription = { ...SERVICE_UNAVAILABLE, detail: "The database could not be reached" };

/**
 * The tunnel of this isolate was used before it was initialized.
 *
 * @cause `SSHTunnel.getInstance()` was called before `initializeInstance` or `initializeFromEnv`, or after
 * `resetInstance`.
 * @fix Call `SSHTunnel.initializeInstance(config)` or `SSHTunnel.initializeFromEnv()` first.
 * @sample new TunnelNotInitializedError()
 */
export class TunnelNotInitializedError extends PoolError {
  /** The code in logs and responses. */
  static override readonly code = "TUNNEL_NOT_INITIALIZED";
  /** The retry class. */
  static override readonly retry = "permanent";
  /** The response to a request that fails with it. */
  static override readonly http: HttpDescription = INTERNAL_ERROR;

  constructor() {
    super(
      "SSHTunnel not initialized: call SSHTunnel.initializeInstance(config) or SSHTunnel.initializeFromEnv() first",
    );
  }
}

/**
 * The tunnel was disconnected by its owner.
 *
 * @cause `disconnect()` was called.
 * @fix Call `connect()` to use the tunnel again.
 * @sample new TunnelClosedError()
 */
export class TunnelClosedError extends PoolError {
  /** The code in logs and responses. */
  static override readonly code = "TUNNEL_CLOSED";
  /** The retry class. */
  static override readonly retry = "permanent";
  /** The response to a request that fails with it. */
  static override readonly http: HttpDescription = UNREACHABLE;

  constructor() {
    super("The SSH tunnel was disconnected: call connect() to use it again");
  }
}

/**
 * The SSH server was not reached, or is not one. `code` is the system's, such as `ECONNREFUSED` or `ETIMEDOUT`, or one of
 * this class: `TUNNEL_CONNECT_FAILED`, `TUNNEL_HANDSHAKE_FAILED`.
 *
 * @cause The server is down or silent, host or port are wrong, or another program listens there.
 * @fix Check `sshHost`, `sshPort`, and that `ssh <host> -p <port>` reaches the server from this machine.
 * @sample new TunnelConnectError("ECONNREFUSED", "Cannot reach the SSH server at bastion.example:22: connect ECONNREFUSED")
 */
export class TunnelConnectError extends PoolError {
  /** The code of a failure that has none of its own. */
  static override readonly code: Uppercase<string> = "TUNNEL_CONNECT_FAILED";
  /** The retry class. */
  static override readonly retry = "transient";
  /** The response to a request that fails with it. */
  static override readonly http: HttpDescription = UNREACHABLE;

  /**
   * Creates the error.
   *
   * @param code The code of the error.
   */
  constructor(code: string, message: string) {
    super(message, undefined, code as Uppercase<string>);
  }
}

/**
 * The tunnel broke while it was in use. `code` is `ECONNRESET` when the server ended the connection, `ETIMEDOUT` when it no
 * longer responded.
 *
 * @cause The SSH server was stopped or restarted, it ended the session, or the network failed.
 * @fix Retry: the next connection opens the tunnel again.
 * @sample new TunnelLostError("ECONNRESET", "SSH connection reset by peer: bastion.example:22 ended the connection")
 */
export class TunnelLostError extends PoolError {
  /** The code of a failure that has none of its own. */
  static override readonly code: Uppercase<string> = "TUNNEL_LOST";
  /** The retry class. */
  static override readonly retry = "transient";
  /** The response to a request that fails with it. */
  static override readonly http: HttpDescription = UNREACHABLE;

  /**
   * Creates the error.
   *
   * @param code The code of the error.
   */
  constructor(code: "ECONNRESET" | "ETIMEDOUT", message: string) {
    super(message, undefined, code);
  }
}

/**
 * The SSH server refused the user or the key.
 *
 * @cause The public key is not among the authorized keys of that user, or the server allows no login with a key.
 * @fix Add the public key (`ssh-keygen -y -f <key>`) to `~/.ssh/authorized_keys` of the user on the server.
 * @sample new TunnelAuthError("bastion.example:22", "tunnel", "ssh-ed25519 SHA256:abc")
 */
export class TunnelAuthError extends PoolError {
  /** The code in logs and responses. */
  static override readonly code = "TUNNEL_AUTH_FAILED";
  /** The retry class. */
  static override readonly retry = "permanent";
  /** The response to a request that fails with it. */
  static override readonly http: HttpDescription = INTERNAL_ERROR;

  /**
   * Creates the error.
   *
   * @param key The type and fingerprint of the public key that was offered.
   */
  constructor(address: string, user: string, key: string) {
    super(
      `The SSH server at ${address} refused the user ${
        JSON.stringify(user)
      } with the key ${key}: add its public key to ` +
        "the authorized_keys of that user",
    );
  }
}

/**
 * The key of the SSH server is not known, so that it cannot be distinguished from an impostor.
 *
 * @cause The server is in no known_hosts file, and no `sshHostKey` is set.
 * @fix Compare the fingerprint with that of the server (`ssh-keygen -lf /etc/ssh/ssh_host_ed25519_key.pub` there), then set
 * it as `sshHostKey` (`SSH_HOST_KEY`), or add the server to known_hosts.
 * @sample new TunnelHostUnknownError("bastion.example:22", "ssh-ed25519 SHA256:abc")
 */
export class TunnelHostUnknownError extends PoolError {
  /** The code in logs and responses. */
  static override readonly code = "TUNNEL_HOST_UNKNOWN";
  /** The retry class. */
  static override readonly retry = "permanent";
  /** The response to a request that fails with it. */
  static override readonly http: HttpDescription = INTERNAL_ERROR;

  /**
   * Creates the error.
   *
   * @param key The type and fingerprint of the key that the server presented.
   */
  constructor(address: string, key: string) {
    super(
      `The key of the SSH server at ${address} is not known: it presented ${key}. If that is the fingerprint of your ` +
        "server, set sshHostKey (SSH_HOST_KEY) to it, or add the server to known_hosts",
    );
  }
}

/**
 * The SSH server presented another key than the known one: someone may be impersonating it. No key and no data was sent.
 *
 * @cause The server was reinstalled, its address belongs to another machine now, or the connection is intercepted.
 * @fix Ask the operator of the server for the new fingerprint. Only if it matches, replace the old one in known_hosts
 * (`ssh-keygen -R <host>`) or in `sshHostKey`.
 * @sample new TunnelHostKeyChangedError("bastion.example:22", "ssh-ed25519 SHA256:abc", "~/.ssh/known_hosts")
 */
export class TunnelHostKeyChangedError extends PoolError {
  /** The code in logs and responses. */
  static override readonly code = "TUNNEL_HOST_KEY_CHANGED";
  /** The retry class. */
  static override readonly retry = "permanent";
  /** The response to a request that fails with it. */
  static override readonly http: HttpDescription = INTERNAL_ERROR;

  /**
   * Creates the error.
   *
   * @param key The type and fingerprint of the key that the server presented.
   * @param source The source of the expected key: an option, or a file and its line.
   */
  constructor(address: string, key: string, source: string) {
    super(
      `The SSH server at ${address} presented the key ${key}, which is not the one in ${source}: someone may be ` +
        "impersonating it. Verify the new fingerprint with the operator of the server before you replace the old key",
    );
  }
}

/**
 * A known_hosts file that the options name cannot be read.
 *
 * @cause The path is wrong, or this user may not read the file.
 * @fix Check `sshKnownHostsPath` (`SSH_KNOWN_HOSTS_PATH`), or set `sshHostKey` (`SSH_HOST_KEY`) in its place.
 * @sample new TunnelKnownHostsError("~/.ssh/known_hosts", "ENOENT")
 */
export class TunnelKnownHostsError extends PoolError {
  /** The code in logs and responses. */
  static override readonly code = "TUNNEL_KNOWN_HOSTS";
  /** The retry class. */
  static override readonly retry = "permanent";
  /** The response to a request that fails with it. */
  static override readonly http: HttpDescription = INTERNAL_ERROR;

  /**
   * Creates the error.
   *
   * @param reason The code of the system.
   */
  constructor(file: string, reason: string) {
    super(`Cannot read ${file} (${reason}): check sshKnownHostsPath, or set sshHostKey in its place`);
  }
}

/**
 * The private key cannot be used. `code` is `TUNNEL_KEY_UNREADABLE` (missing, or no permission), `TUNNEL_KEY_UNPROTECTED`
 * (other users can read the file), `TUNNEL_KEY_PASSPHRASE` (none was given, or a wrong one), or `TUNNEL_KEY_INVALID`.
 *
 * @cause The path or the passphrase is wrong, the file is not a private key, or its mode is too open.
 * @fix Check `sshKeyPath` and `sshKeyPassphrase` (`SSH_KEY_PATH`, `SSH_KEY_PASSPHRASE`); `chmod 600` the file.
 * @sample new TunnelKeyError("TUNNEL_KEY_PASSPHRASE", "Cannot read the key ~/.ssh/id_ed25519: the passphrase is wrong")
 */
export class TunnelKeyError extends PoolError {
  /** The code of a key that is not one, or of an unsupported form. */
  static override readonly code: Uppercase<string> = "TUNNEL_KEY_INVALID";
  /** The retry class. */
  static override readonly retry = "permanent";
  /** The response to a request that fails with it. */
  static override readonly http: HttpDescription = INTERNAL_ERROR;

  /**
   * Creates the error.
   *
   * @param code The code of the error.
   */
  constructor(code: `TUNNEL_KEY_${Uppercase<string>}`, message: string) {
    super(message, undefined, code);
  }
}

/**
 * All channels of the tunnel are in use.
 *
 * @cause The pools that use the tunnel have more connections than `maxPoolSize`.
 * @fix Raise `maxPoolSize` of the tunnel, or lower `maxConnections` of the pools: a connection needs a channel.
 * @sample new TunnelChannelLimitError(10)
 */
export class TunnelChannelLimitError extends ConnectLimitError {
  /** The code in logs and responses. */
  static override readonly code = "TUNNEL_CHANNEL_LIMIT";

  /**
   * Creates the error.
   *
   * @param limit The limit, `maxPoolSize`.
   */
  constructor(limit: number) {
    super(
      `Cannot open a channel: all ${limit} channels of the SSH tunnel are in use (maxPoolSize). Raise maxPoolSize, or ` +
        "lower maxConnections of the pools that use the tunnel",
    );
  }
}

/** The reasons of a server to open no channel, by their numbers (RFC 4254, section 5.1). */
const REASONS: Readonly<Record<number, string>> = {
  1: "it prohibits forwarding to this address (AllowTcpForwarding, PermitOpen)",
  2: "it cannot connect to this address",
  3: "it does not know this kind of channel",
  4: "it has no resources for another channel",
};

/**
 * The SSH server did not open a channel to the database.
 *
 * @cause The database is down or its address, as seen from the SSH server, is wrong; or the server prohibits forwarding.
 * @fix Check `remoteHost` and `remotePort` from the SSH server, and `AllowTcpForwarding` and `PermitOpen` in its
 * sshd_config.
 * @sample new TunnelChannelRefusedError("localhost:5432", 2, "Connection refused")
 */
export class TunnelChannelRefusedError extends PoolError {
  /** The code in logs and responses. */
  static override readonly code = "TUNNEL_CHANNEL_REFUSED";
  /** The retry class: `permanent` for a server that prohibits forwarding. */
  static override readonly retry: FailureKind = "transient";
  /** The response to a request that fails with it. */
  static override readonly http: HttpDescription = UNREACHABLE;

  readonly #reason: number;

  /**
   * Creates the error.
   *
   * @param remote The address that the channel was to lead to.
   * @param reason The number of the reason; 0 if it gave none.
   * @param description The words of the server.
   */
  constructor(remote: string, reason: number, description: string) {
    const words = description === "" ? "" : ` ("${description}")`;
    super(
      `The SSH server opened no channel to ${remote}: ${
        REASONS[reason] ?? "it gave no reason"
      }${words}. Check remoteHost ` +
        "and remotePort, as the SSH server sees them",
    );
    this.#reason = reason;
  }

  /** The retry class. */
  override get retry(): FailureKind {
    return this.#reason === 1 || this.#reason === 3 ? "permanent" : "transient";
  }
}

/**
 * The tunnel cannot listen on its local port.
 *
 * @cause Another program listens on `localPort`, or this user may not.
 * @fix Choose another `localPort` (`SSH_LOCAL_PORT`), 0 for any that is free, or none: pools do not need it.
 * @sample new TunnelLocalPortError(5432, "EADDRINUSE")
 */
export class TunnelLocalPortError extends PoolError {
  /** The code in logs and responses. */
  static override readonly code = "TUNNEL_LOCAL_PORT";
  /** The retry class. */
  static override readonly retry = "permanent";
  /** The response to a request that fails with it. */
  static override readonly http: HttpDescription = INTERNAL_ERROR;

  /**
   * Creates the error.
   *
   * @param reason The code of the system.
   */
  constructor(port: number, reason: string) {
    super(`Cannot listen on 127.0.0.1:${port} (${reason}): choose another localPort, 0 for any that is free, or none`);
  }
}
