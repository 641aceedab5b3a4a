/**
 * Cancels what a backend runs (PostgreSQL, "Canceling Requests in Progress"): over a connection of its own, which the
 * server closes once it has passed the request on.
 *
 * @module
 */
import { Buffer } from "node:buffer";
import { type BackendKey, createWire, type DriverOptions } from "../wire/driver.ts";

export type { BackendKey };

/** The code of a cancel request, where a startup has the version of the protocol. */
const CANCEL_REQUEST = 80_877_102;

function encodeCancelRequest({ processId, secretKey }: BackendKey): Buffer {
  const bytes = Buffer.alloc(12 + secretKey.length);
  bytes.writeInt32BE(bytes.length, 0);
  bytes.writeInt32BE(CANCEL_REQUEST, 4);
  bytes.writeInt32BE(processId, 8);
  bytes.set(secretKey, 12);
  return bytes;
}

/** A cancel request in flight. */
export interface CancelRequest {
  /** Resolves to whether the server passed it on, once that is known. */
  readonly passedOn: Promise<boolean>;
  /** Closes its connection and resolves `passedOn` to false. */
  readonly abort: () => void;
}

/** Asks the server to cancel what a backend runs. */
export function requestCancel(options: DriverOptions, key: BackendKey): CancelRequest {
  const { promise, resolve } = Promise.withResolvers<boolean>();
  const wire = createWire(options);
  let sent = false;
  const send = () => {
    wire.stream.write(encodeCancelRequest(key));
    sent = true;
  };
  wire.on("connect", () => options.ssl ? wire.requestSsl() : send());
  wire.on("sslconnect", send);
  // Some servers end the connection with a reset; what was sent has been read then.
  wire.on("error", () => resolve(false));
  wire.on("end", () => resolve(sent));
  const { host = "localhost", port = 5432 } = options;
  // A host that begins with / is the folder of a Unix socket, as in the driver's own client.
  if (host.startsWith("/")) wire.connect(`${host}/.s.PGSQL.${port}`);
  else wire.connect(port, host);
  const abort = () => {
    resolve(false);
    wire.stream.destroy();
  };
  return { passedOn: promise.finally(() => wire.stream.destroy()), abort };
}
