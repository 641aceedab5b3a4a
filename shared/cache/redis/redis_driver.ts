/**
 * One connection to Redis, by `ioredis`, without what ioredis does by itself: it neither reconnects nor queues nor
 * resends, and keeps no process alive.
 *
 * The driver is loaded with the first connection.
 *
 * @module
 */
import net from "node:net";
import tls from "node:tls";
import type { Redis } from "ioredis";
import type { RedisAddress } from "./redis_url.ts";

/** Options of TLS, as `node:tls` has them. */
export interface RedisTlsOptions {
  /** The certificates of authorities that are trusted, in PEM. Default: those of the system. */
  readonly ca?: string | readonly string[];
  /** The name that the certificate must have. Default: the host. */
  readonly servername?: string;
  /** False to accept any certificate: for tests only. Default: true. */
  readonly rejectUnauthorized?: boolean;
}

/** A connection to Redis that is not open yet. */
export interface RedisClient {
  /** The client of ioredis. */
  readonly redis: Redis;
  /** Connects, logs in and selects the database. Rejects with the first error. */
  connect(): Promise<void>;
  /** Sets whether the connection keeps the process alive. Default: it does not. */
  keepAlive(keeps: boolean): void;
  /** Closes the socket at once. Commands under way are rejected. Idempotent. */
  destroy(): void;
}

type Driver = Pick<typeof import("ioredis"), "Redis" | "AbstractConnector">;

let driver: Promise<Driver> | undefined = undefined;

function loadDriver(): Promise<Driver> {
  driver ??= import("ioredis").then(({ Redis, AbstractConnector }) => ({ Redis, AbstractConnector }), (error) => {
    driver = undefined;
    throw error;
  });
  return driver;
}

/** Creates a connection, which {@linkcode RedisClient.connect} opens. */
export async function createRedisClient(
  { host, port, username, password, db, isTls }: RedisAddress,
  { ca, servername, rejectUnauthorized = true }: RedisTlsOptions,
): Promise<RedisClient> {
  const { Redis, AbstractConnector } = await loadDriver();
  const sockets: net.Socket[] = [];
  let keeps = false;

  /** Opens the socket: that of ioredis would keep the process alive, and would be closed after a timer only. */
  class Connector extends AbstractConnector {
    constructor() {
      super(0);
    }

    override connect(): Promise<net.Socket> {
      const socket = isTls
        ? tls.connect({
          host,
          port,
          rejectUnauthorized,
          // An address is not a name (RFC 6066, section 3).
          ...servername !== undefined || net.isIP(host) === 0 ? { servername: servername ?? host } : {},
          ...ca === undefined ? {} : { ca: typeof ca === "string" ? ca : [...ca] },
        })
        : net.connect({ host, port });
      if (!keeps) socket.unref();
      socket.once("error", (error) => this.firstError = error);
      sockets.push(socket);
      return Promise.resolve(socket);
    }

    override disconnect(): void {
      this.connecting = false;
      for (const socket of sockets) socket.destroy();
    }
  }

  const redis = new Redis({
    Connector,
    db,
    ...username === undefined ? {} : { username },
    ...password === undefined ? {} : { password },
    ...isTls ? { tls: {} } : {},
    lazyConnect: true,
    enableOfflineQueue: false,
    enableReadyCheck: false,
    autoResendUnfulfilledCommands: false,
    autoResubscribe: false,
    maxRetriesPerRequest: 0,
    retryStrategy: null,
    connectTimeout: 0,
    disableClientInfo: true,
  });
  // Without a listener, ioredis writes errors to the console.
  let firstError: unknown;
  redis.on("error", (error) => firstError ??= error);
  return {
    redis,
    async connect() {
      await redis.connect().catch((error) => {
        // "Connection is closed" hides the reason.
        throw firstError ?? error;
      });
      // ioredis goes on with database 0 where the server does not have the one of the URL.
      if (firstError !== undefined) throw firstError;
    },
    keepAlive(value) {
      keeps = value;
      for (const socket of sockets) value ? socket.ref() : socket.unref();
    },
    destroy() {
      redis.disconnect();
      for (const socket of sockets) socket.destroy();
    },
  };
}
