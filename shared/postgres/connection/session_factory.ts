/**
 * How the pool makes, checks, cleans and closes connections.
 *
 * @module
 */
import type { CreateContext, ResourceFactory } from "../../pool/mod.ts";
import type { Clock } from "../../resilience/mod.ts";
import { requestCancel } from "./cancel.ts";
import { checkClientCertificate } from "../config/client_certificate.ts";
import type { PostgresConfig, TlsOptions } from "../config/config.ts";
import type { ConnectGate } from "./connect_gate.ts";
import type { DriverOptions } from "../wire/driver.ts";
import type { PoolerDetector } from "./pooler.ts";
import { Session } from "./session.ts";

/** TLS as it is to be. Where verification is not asked for, NODE_TLS_REJECT_UNAUTHORIZED would decide. */
function tlsOptions(own: TlsOptions): TlsOptions {
  return { ...own, rejectUnauthorized: own.rejectUnauthorized ?? true };
}

/**
 * The options of the driver. Everything is said: what is not, the driver would take from `PG*` variables.
 *
 * @throws {ConfigError} when the runtime cannot do what they ask for.
 */
export function driverOptions(config: Readonly<PostgresConfig>): DriverOptions {
  checkClientCertificate(config);
  const { host, port, database, user, password, ssl, options, applicationName, keepAlive, keepAliveDelayMs } = config;
  return {
    host,
    port,
    database,
    user,
    // A function: an empty one would be looked up elsewhere, and the driver shows none in what it prints.
    password: () => password,
    ssl: ssl === false ? false : tlsOptions(ssl === true ? {} : ssl),
    application_name: applicationName,
    options,
    keepAlive,
    keepAliveInitialDelayMillis: keepAliveDelayMs,
  };
}

/** Makes the connections of one pool. */
export class SessionFactory implements ResourceFactory<Session> {
  readonly #options: DriverOptions;
  readonly #config: Readonly<PostgresConfig>;
  readonly #gate: ConnectGate;
  readonly #pooler: PoolerDetector;
  readonly #clock: Clock;

  constructor(config: Readonly<PostgresConfig>, gate: ConnectGate, pooler: PoolerDetector, clock: Clock) {
    this.#options = driverOptions(config);
    this.#config = config;
    this.#gate = gate;
    this.#pooler = pooler;
    this.#clock = clock;
  }

  create({ signal, invalidate }: CreateContext): Promise<Session> {
    return this.#gate.pass(async () => {
      const session = await Session.open(this.#options, signal, invalidate);
      const giveUp = () => session.destroy(signal.reason);
      signal.addEventListener("abort", giveUp, { once: true });
      try {
        const { maxPreparedStatements, maxStatementsInFlight } = this.#config;
        if (await this.#pooler.isOwned(session)) session.own(maxPreparedStatements, maxStatementsInFlight);
        return session;
      } catch (error) {
        session.destroy(new Error("it could not be looked at"));
        throw error;
      } finally {
        signal.removeEventListener("abort", giveUp);
      }
    });
  }

  async validate(session: Session): Promise<boolean> {
    if (session.death) return false;
    // Something is under way on it, with a deadline of its own.
    if (session.busy) return true;
    await session.run([{ text: "SELECT 1" }]);
    return session.status === "idle";
  }

  reset(session: Session): void | Promise<void> {
    if (session.dirty || session.status !== "idle") return session.reset();
  }

  async destroy(session: Session): Promise<void> {
    const { backend } = session;
    if (session.unattended > 0) await this.#drain(session);
    if (session.busy && backend && session.owned) {
      // The server would go on with it, unattended, until it next looks at the socket.
      await requestCancel(this.#options, backend).passedOn;
      // Its holder learns that it was cancelled, and not only that the connection is gone.
      await this.#drain(session);
    }
    await session.close();
  }

  /** Lets statements finish, for a while. Those whose lease was ended early have been quick so far. */
  async #drain(session: Session): Promise<void> {
    const { promise, resolve } = Promise.withResolvers<void>();
    const timer = this.#clock.setTimer(resolve, this.#config.cancelTimeoutMs);
    await Promise.race([session.drained(), promise]);
    timer.cancel();
  }
}
