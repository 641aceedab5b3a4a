/**
 * Cancels what a backend runs (PostgreSQL, "Canceling Requests in Progress"): over a connection of its own, which the
 * server closes once it has passed the request on.
 *
 * @module
 */
import { createWire, type DriverOptions } from "../wire/driver.ts";

/** The key of a backend, which a cancel request needs (PostgreSQL, BackendKeyData). */
export interface BackendKey {
  readonly processId: number;
  readonly secretKey: number;
}

/** A cancel request in flight. */
export interface CancelRequest {
  /** Resolves to whether the server passed it on, once that is known. */
  readonly passedOn: Promise<boolean>;
  /** Closes its connection and resolves `passedOn` to false. */
  readonly abort: () => void;
}

/** Asks the server to cancel what a backend runs. */
export function requestCancel(options: DriverOptions, { processId, secretKey }: BackendKey): CancelRequest {
  const { promise, resolve } = Promise.withResolvers<boolean>();
  const wire = createWire(options);
  let sent = false;
  const send = () => {
    wire.cancel(processId, secretKey);
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
