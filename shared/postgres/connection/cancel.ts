/**
 * Cancelling what a backend runs (PostgreSQL, "Canceling Requests in
 * Progress"): a connection of its own, which the server closes once it has
 * passed the request on.
 *
 * @module
 */
import { createWire, type DriverOptions } from "../wire/driver.ts";

/** What identifies a backend to a cancel request. */
export interface Backend {
  readonly processId: number;
  readonly secretKey: number;
}

/** A cancel request under way. */
export interface CancelRequest {
  /** Whether it came through; resolves once that is known. */
  readonly passedOn: Promise<boolean>;
  /** Waits no longer. */
  readonly giveUp: () => void;
}

/**
 * Asks the server to cancel what a backend runs. Resolves once the server has
 * passed it on, or when it cannot be reached or does not answer: whether it
 * came through.
 */
export function requestCancel(options: DriverOptions, { processId, secretKey }: Backend): CancelRequest {
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
  // The folder of a Unix socket, as the driver's own client has it.
  if (host.startsWith("/")) wire.connect(`${host}/.s.PGSQL.${port}`);
  else wire.connect(port, host);
  const giveUp = () => {
    resolve(false);
    wire.stream.destroy();
  };
  return { passedOn: promise.finally(() => wire.stream.destroy()), giveUp };
}
