/**
 * The parts of `pg` in use: the socket, TLS and authentication. The messages are our own, see
 * {@linkcode MessageReader} and {@linkcode MessageWriter}.
 *
 * @module
 */
// @ts-types="./pg.d.ts"
import pg from "pg";
import { MAX_RESULT_BYTES } from "../config/options.ts";
// By name too: the CLI uploads files that imports name, and not those of comments.
import type types from "./pg.d.ts";
import { type ConnectFunction, type ConnectTarget, ServerStream } from "./server_stream.ts";
import { WireConnection } from "./wire_connection.ts";

/** The key of a backend, which a cancel request needs (PostgreSQL, BackendKeyData). */
export interface BackendKey {
  readonly processId: number;
  readonly secretKey: Uint8Array;
}

/** A `pg.Client`: the part we use. */
export interface DriverClient {
  readonly connection: WireConnection;
  connect(): Promise<unknown>;
  end(): Promise<void>;
  on(event: "error", listener: (error: unknown) => void): void;
  on(event: "end", listener: () => void): void;
}

/** Options of a connection, as `pg` takes them. */
export interface DriverOptions extends types.ClientConfig {
  /** The longest result of a request, in bytes; see `maxResultBytes`. Default: 128 MiB. */
  readonly maxResultBytes?: number | undefined;
  /** Opens the stream to the server. Default: a socket to `host` and `port`. */
  readonly connect?: ConnectFunction | undefined;
}

/** Returns the stream that a `connect` function opens; `undefined` for a socket. */
function streamOf({ connect, host = "localhost", port = 5432 }: DriverOptions, purpose: ConnectTarget["purpose"]) {
  return connect && new ServerStream((signal) => connect({ host, port, purpose, signal }));
}

/** Creates a client that is not connected. */
export function createClient(options: DriverOptions): DriverClient {
  const { maxResultBytes = MAX_RESULT_BYTES, connect: _connect, ...own } = options;
  const { ssl = false, keepAlive = false, keepAliveInitialDelayMillis = 0, stream = streamOf(options, "statements") } =
    own;
  const connection = new WireConnection({ ssl, keepAlive, keepAliveInitialDelayMillis, stream }, maxResultBytes);
  const client = new pg.Client({ sslnegotiation: "postgres", ...own, connection });
  // For empty options the driver would use PGOPTIONS and PGREPLICATION.
  Object.assign(client.connectionParameters, { options: options.options, replication: undefined });
  const startup = client.getStartupConf.bind(client);
  // Whatever the role, the database and `options` set: dates in other styles are ambiguous.
  Object.assign(client, { getStartupConf: () => ({ ...startup(), DateStyle: "ISO" }) });
  return client as unknown as DriverClient;
}

/** Creates a connection that is not connected, and sends nothing by itself. */
export function createWire(options: DriverOptions): WireConnection {
  const { ssl = false } = options;
  return new WireConnection({ ssl, stream: streamOf(options, "cancel") }, MAX_RESULT_BYTES);
}
