/**
 * The connection of a `pg.Client`, whose messages are read here: `pg` authenticates, and gets nothing else.
 *
 * @module
 */
import type { Buffer } from "node:buffer";
// @ts-types="./pg.d.ts"
import pg from "pg";
import { toError } from "../../resilience/mod.ts";
import { ConnectionError } from "../errors/connection_error.ts";
import type { ResultTooLargeError } from "../errors/statement_error.ts";
import { type AuthenticationRequest, decodeAuthentication } from "./authentication.ts";
import { MessageReader } from "./message_reader.ts";
import {
  decodeBackendKey,
  decodeError,
  decodeParameterStatus,
  decodeStatus,
  protocolError,
  Reply,
} from "./messages.ts";
import type { BackendKey } from "./driver.ts";
import type types from "./pg.d.ts";

/** Receives what the server sends once it is ready for statements. */
export interface WireReceiver {
  /** Called for each message, as a `MessageHandler` is. What it throws ends the connection. */
  onMessage(type: number, bytes: Buffer, start: number, end: number): void;
  /** Called for a row or error that is too long, as a `TooLongHandler` is. What it throws ends the connection. */
  onTooLong(type: number, error: ResultTooLargeError): void;
  /** Called once when the server broke the protocol, or `onMessage` threw. The socket is closed. */
  onFailure(error: Error): void;
}

/** The bytes that a server may send before it is ready: a flood of notices must not look like progress. */
const MAX_STARTUP_BYTES = 1_048_576;

/** The longest value of a setting that is kept, in characters. */
const MAX_SETTING = 8_192;

/** The names of UTF-8 as a `client_encoding` (PostgreSQL, "Character Set Support"). */
const UTF8 = /^(utf-?8|unicode)$/i;

/** The settings that servers and poolers report (PostgreSQL, "Asynchronous Operations"). Others are not kept. */
const REPORTED: ReadonlySet<string> = new Set([
  "application_name",
  "client_encoding",
  "DateStyle",
  "default_transaction_read_only",
  "in_hot_standby",
  "integer_datetimes",
  "IntervalStyle",
  "is_superuser",
  "scram_iterations",
  "search_path",
  "server_encoding",
  "server_version",
  "session_authorization",
  "standard_conforming_strings",
  "TimeZone",
]);

/** The steps of the startup: each request of the server is accepted in one of them. */
type Step = "connected" | "password" | "saslRequested" | "saslSent" | "saslContinued" | "saslFinal" | "authenticated";

/** The steps in which a request to authenticate may come, and the step that follows. */
const AUTHENTICATION: Readonly<Record<AuthenticationRequest["name"], readonly [from: readonly Step[], to: Step]>> = {
  authenticationOk: [["connected", "password", "saslFinal"], "authenticated"],
  authenticationCleartextPassword: [["connected"], "password"],
  authenticationMD5Password: [["connected"], "password"],
  authenticationSASL: [["connected"], "saslRequested"],
  authenticationSASLContinue: [["saslSent"], "saslContinued"],
  authenticationSASLFinal: [["saslContinued"], "saslFinal"],
};

/** A connection that reads with a {@linkcode MessageReader}, and ends at the first byte that breaks the protocol. */
export class WireConnection extends pg.Connection {
  /** Receives what follows the startup; set before connecting. */
  receiver: WireReceiver | undefined = undefined;
  /** The key that a cancel request for the backend needs, once the server has sent it. */
  backendKey: BackendKey | undefined = undefined;
  /** The settings that the server reports, by name, as they are now. */
  readonly settings: ReadonlyMap<string, string> = new Map();

  readonly #maxResultBytes: number;
  #step: Step | "ready" | "failed" = "connected";
  #startupBytes = 0;

  /** @param maxResultBytes The longest row, in bytes. */
  constructor(options: types.ConnectionConfig, maxResultBytes: number) {
    super(options);
    this.#maxResultBytes = maxResultBytes;
  }

  /** Called by `pg` with the socket, once per connection: after the TLS handshake, if there is one. */
  override attachListeners(stream: types.Socket): void {
    const reader: MessageReader = new MessageReader((type, bytes, start, end) => {
      if (this.#step === "ready") this.receiver?.onMessage(type, bytes, start, end);
      else this.#onStartup(reader, type, bytes, start, end);
    }, (type, error) => this.receiver?.onTooLong(type, error));
    stream.on("data", (chunk) => {
      try {
        if (this.#step !== "ready") this.#countStartup(chunk.length);
        reader.push(chunk);
      } catch (error) {
        reader.close();
        this.#fail(toError(error));
      }
    });
    this.once("end", () => reader.close());
  }

  override sendSASLInitialResponseMessage(mechanism: string, response: string): void {
    this.#step = "saslSent";
    super.sendSASLInitialResponseMessage(mechanism, response);
  }

  /** Notes a ParameterStatus message, which may come at any time. */
  onParameterStatus(bytes: Buffer, start: number, end: number): void {
    const [name, value] = decodeParameterStatus(bytes, start, end);
    if (!REPORTED.has(name) || value.length > MAX_SETTING) return;
    if (name === "client_encoding" && !UTF8.test(value)) {
      throw new ConnectionError(
        "CLIENT_ENCODING_UNSUPPORTED",
        `client_encoding of the session is ${value}, but only UTF8 is decoded: do not set it`,
      );
    }
    (this.settings as Map<string, string>).set(name, value);
  }

  #countStartup(bytes: number): void {
    this.#startupBytes += bytes;
    if (this.#startupBytes > MAX_STARTUP_BYTES) {
      throw protocolError(`it sent more than ${MAX_STARTUP_BYTES} bytes without becoming ready`);
    }
  }

  #onStartup(reader: MessageReader, type: number, bytes: Buffer, start: number, end: number): void {
    switch (type) {
      case Reply.notice:
      case Reply.notification:
        return;
      case Reply.authentication:
        return this.#onAuthentication(decodeAuthentication(bytes, start, end));
      case Reply.error: {
        const error = decodeError(bytes, start, end);
        this.#step = "failed";
        reader.close();
        this.emit("errorMessage", error);
        return;
      }
      case Reply.parameterStatus:
        return this.onParameterStatus(bytes, start, end);
      case Reply.backendKey:
        if (this.#step !== "authenticated" || this.backendKey) break;
        this.backendKey = decodeBackendKey(bytes, start, end);
        return;
      case Reply.readyForQuery: {
        const status = decodeStatus(bytes, start, end);
        if (this.#step !== "authenticated") break;
        this.#step = "ready";
        reader.allowValues(this.#maxResultBytes);
        this.emit("readyForQuery", { status });
        return;
      }
    }
    throw protocolError(`it sent ${Reply.describe(type)} while connecting`);
  }

  #onAuthentication(request: AuthenticationRequest): void {
    const [from, to] = AUTHENTICATION[request.name];
    if (!from.some((step) => step === this.#step)) {
      throw protocolError(`it sent ${request.name} out of turn while connecting`);
    }
    this.#step = to;
    this.emit(request.name, request);
  }

  /** Closes the socket, and reports why: while connecting to `pg`, and later to the receiver. */
  #fail(error: Error): void {
    const wasReady = this.#step === "ready";
    if (this.#step === "failed") return;
    this.#step = "failed";
    if (wasReady) this.receiver?.onFailure(error);
    else this.emit("error", error);
    this.stream.destroy();
  }
}
