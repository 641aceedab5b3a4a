/**
 * Loopback ports.
 *
 * @module
 */
import { StackError } from "./stack_error.ts";

/** The only address that the stack listens on. */
export const LOOPBACK = "127.0.0.1";

/** The port of the gateway, unless the project or the command line names another. */
export const DEFAULT_PORT = 54321;

/** Returns a loopback port that is free at this moment. */
export function freePort(): number {
  using listener = Deno.listen({ hostname: LOOPBACK, port: 0 });
  return listener.addr.port;
}

/**
 * Creates the error for a port that cannot be listened on.
 *
 * @param option The option that sets the port, such as `--port`.
 */
export function portError(error: unknown, port: number, option: string): StackError {
  if (error instanceof Deno.errors.AddrInUse) {
    return new StackError(
      "PORT_TAKEN",
      `Port ${port} is in use: stop the process that uses it, or choose another port with ${option} <port>.`,
      { cause: error },
    );
  }
  if (error instanceof Deno.errors.PermissionDenied) {
    return new StackError(
      "PORT_FORBIDDEN",
      `This user may not listen on port ${port}: choose one above 1023 with ${option} <port>.`,
      { cause: error },
    );
  }
  return new StackError("PORT_TAKEN", `Cannot listen on port ${port}: choose another with ${option} <port>.`, {
    cause: error,
  });
}

/**
 * Checks that `port` can be listened on; 0 always can.
 *
 * @throws {StackError} `PORT_TAKEN` or `PORT_FORBIDDEN`.
 */
export function requirePort(port: number, option: string): void {
  try {
    Deno.listen({ hostname: LOOPBACK, port }).close();
  } catch (error) {
    throw portError(error, port, option);
  }
}
