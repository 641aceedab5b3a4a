/**
 * The part of `pg` that is used here and in its tests and benchmarks, typed.
 * `@types/pg` would bring `@types/node`, whose globals stand against Deno's.
 */
import type { Buffer } from "node:buffer";
import type { ConnectionOptions } from "node:tls";

declare namespace pg {
  /** Options of a connection. */
  interface ClientConfig {
    /** The socket, not connected. Default: a new one. */
    stream?: object | undefined;
    host?: string | undefined;
    port?: number | undefined;
    database?: string | undefined;
    user?: string | undefined;
    password?: string | (() => string) | undefined;
    ssl?: boolean | ConnectionOptions | undefined;
    sslnegotiation?: "postgres" | "direct" | undefined;
    options?: string | undefined;
    application_name?: string | undefined;
    keepAlive?: boolean | undefined;
    keepAliveInitialDelayMillis?: number | undefined;
    connectionString?: string | undefined;
    connectionTimeoutMillis?: number | undefined;
    pipeline?: boolean | undefined;
    connection?: Connection | undefined;
  }

  /** Options of a {@linkcode Connection}. */
  interface ConnectionConfig {
    stream?: object | undefined;
    ssl?: boolean | ConnectionOptions | undefined;
    keepAlive?: boolean | undefined;
    keepAliveInitialDelayMillis?: number | undefined;
  }

  /** A socket. */
  interface Socket {
    readonly writable: boolean;
    write(bytes: Uint8Array | Buffer): unknown;
    destroy(): void;
    on(event: "data", listener: (chunk: Buffer) => void): this;
  }

  /** The result of a statement. */
  interface QueryResult {
    // deno-lint-ignore no-explicit-any -- rows are what the statement says they are
    rows: any[];
    rowCount: number | null;
    command: string;
  }

  /** One connection. */
  class Client {
    constructor(config?: string | ClientConfig);
    readonly connectionParameters: object;
    getStartupConf(): Record<string, string>;
    connect(): Promise<void>;
    query(text: string, values?: readonly unknown[]): Promise<QueryResult>;
    end(): Promise<void>;
    on(event: string, listener: (...args: never[]) => void): this;
  }

  /** A client of a {@linkcode Pool}. */
  class PoolClient extends Client {
    release(destroy?: boolean): void;
  }

  /** `pg`'s own pool. */
  class Pool {
    constructor(config?: ClientConfig & { max?: number });
    connect(): Promise<PoolClient>;
    query(text: string, values?: readonly unknown[]): Promise<QueryResult>;
    end(): Promise<void>;
    on(event: string, listener: (...args: never[]) => void): this;
  }

  /** The socket of a connection, and the messages of authentication. */
  class Connection {
    constructor(config?: ConnectionConfig);
    readonly stream: Socket;
    connect(portOrPath: number | string, host?: string): void;
    attachListeners(stream: Socket): void;
    requestSsl(): void;
    sendSASLInitialResponseMessage(mechanism: string, response: string): void;
    on(event: "connect" | "sslconnect" | "end", listener: () => void): this;
    on(event: "error", listener: (error: unknown) => void): this;
    once(event: "end", listener: () => void): this;
    emit(event: string, ...args: unknown[]): boolean;
  }

  const types: {
    getTypeParser(oid: number, format?: "text"): (text: string) => unknown;
  };

  function escapeIdentifier(name: string): string;
}

export default pg;
