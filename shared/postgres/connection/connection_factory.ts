/**
 * Creates, validates, resets and destroys the connections of a pool.
 *
 * @module
 */
import { abortable } from "@std/async/abortable";
import { ConfigError, type CreateContext, type ResourceFactory } from "../../pool/mod.ts";
import { type Clock, timeoutSignal } from "../../resilience/mod.ts";
import type { PostgresConfig, TlsOptions } from "../config/config.ts";
import type { DriverOptions } from "../wire/driver.ts";
import { BackendConnection } from "./backend_connection.ts";
import { type BackendKey, type CancelRequest, requestCancel } from "./cancel.ts";
import { ConnectThrottle } from "./connect_throttle.ts";
import type { PoolerDetector } from "./pooler.ts";

/** The first version of Deno that sends client certificates: before, `node:tls` accepts them and leaves them out. */
const CLIENT_CERTIFICATES_SINCE = { major: 2, minor: 5 };

/**
 * Rejects a client certificate that the runtime would not send: the server would reject us or accept us unauthenticated.
 *
 * @param runtime The version of Deno; the hosted runtime reports the version it is compatible with.
 * @throws {ConfigError} when `ssl.cert` or `ssl.key` is set and the runtime would leave it out.
 */
export function checkClientCertificate({ ssl }: Pick<PostgresConfig, "ssl">, runtime = Deno.version.deno): void {
  if (typeof ssl === "boolean" || (ssl.cert === undefined && ssl.key === undefined)) return;
  const [, major, minor] = /(?:^|Deno v?)(\d+)\.(\d+)/i.exec(runtime) ?? [];
  const since = CLIENT_CERTIFICATES_SINCE;
  const newer = Number(major) > since.major || (Number(major) === since.major && Number(minor) >= since.minor);
  if (newer) return;
  const message = "requires Deno 2.5 or later, since this runtime sends no client certificate: log in with a password";
  throw new ConfigError([{ path: "ssl.cert", message }], "Postgres configuration");
}

/** Sets `rejectUnauthorized` explicitly: otherwise NODE_TLS_REJECT_UNAUTHORIZED would decide. */
function tlsOptions(own: TlsOptions): TlsOptions {
  return { ...own, rejectUnauthorized: own.rejectUnauthorized ?? true };
}

/**
 * Returns the options of the driver. Sets every option explicitly so that `PG*` variables cannot apply.
 *
 * @throws {ConfigError} when the runtime does not support an option.
 */
export function driverOptions(config: Readonly<PostgresConfig>): DriverOptions {
  checkClientCertificate(config);
  const { host, port, database, user, password, ssl, options, applicationName, keepAlive, keepAliveDelayMs } = config;
  const { maxResultBytes } = config;
  return {
    host,
    port,
    database,
    user,
    // A function: the driver would look an empty password up elsewhere, and never prints a function.
    password: () => password,
    ssl: ssl === false ? false : tlsOptions(ssl === true ? {} : ssl),
    application_name: applicationName,
    options,
    keepAlive,
    keepAliveInitialDelayMillis: keepAliveDelayMs,
    maxResultBytes,
  };
}

/** The factory of a pool of connections. */
export class ConnectionFactory implements ResourceFactory<BackendConnection> {
  readonly #options: DriverOptions;
  readonly #config: Readonly<PostgresConfig>;
  readonly #throttle: ConnectThrottle;
  readonly #pooler: PoolerDetector;
  readonly #clock: Clock;

  constructor(config: Readonly<PostgresConfig>, pooler: PoolerDetector, clock: Clock, random?: () => number) {
    this.#options = driverOptions(config);
    this.#config = config;
    this.#throttle = new ConnectThrottle(clock, random);
    this.#pooler = pooler;
    this.#clock = clock;
  }

  create({ signal, invalidate }: CreateContext): Promise<BackendConnection> {
    return this.#throttle.connect(async () => {
      const connection = await BackendConnection.open(this.#options, this.#clock, signal, invalidate);
      try {
        const { maxPreparedStatements, maxStatementsInFlight } = this.#config;
        if (await abortable(this.#pooler.ownsSession(connection), signal)) {
          connection.enableSessionState(maxPreparedStatements, maxStatementsInFlight);
        }
        return connection;
      } catch (error) {
        connection.destroy(new Error("The mode of the pooler could not be detected", { cause: error }));
        throw error;
      }
    });
  }

  async validate(connection: BackendConnection): Promise<boolean> {
    if (connection.death) return false;
    // A statement is in flight, with a deadline of its own.
    if (connection.inFlight > 0) return true;
    await connection.run([{ text: "SELECT 1" }]);
    return connection.status === "idle";
  }

  reset(connection: BackendConnection): void | Promise<void> {
    if (connection.mayHoldState || connection.status !== "idle") return connection.reset();
  }

  async destroy(connection: BackendConnection): Promise<void> {
    const { backendKey } = connection;
    if (connection.detachedStatements > 0) await this.#drain(connection);
    if (connection.inFlight > 0 && backendKey && connection.ownsSession) {
      // The server would run the statement on until it next looks at the socket.
      await this.requestCancel(backendKey).passedOn;
      // Then its caller receives the error of a canceled statement, and not only that of a lost connection.
      await this.#drain(connection);
    }
    await connection.close();
  }

  /** Asks the server to cancel what a backend runs. */
  requestCancel(key: BackendKey): CancelRequest {
    return requestCancel(this.#options, key);
  }

  /** Waits for statements in flight, for at most `cancelTimeoutMs`. Those of leases that ended early have been quick. */
  async #drain(connection: BackendConnection): Promise<void> {
    using timeout = timeoutSignal(this.#config.cancelTimeoutMs, this.#clock, () => "it runs on");
    await abortable(connection.drained(), timeout.signal).catch(() => {});
  }
}
