/**
 * Loopback ports.
 *
 * @module
 */
import { StackFault } from "./fault.ts";

/** The only address the stack listens on. */
export const LOOPBACK = "127.0.0.1";

/** A loopback port that is free at this moment. */
export function freePort(): number {
  using listener = Deno.listen({ hostname: LOOPBACK, port: 0 });
  return listener.addr.port;
}

/**
 * The fault of not being able to listen on `port`.
 *
 * @param option The option that chooses the port, as in `--port`.
 */
export function portFault(error: unknown, port: number, option: string): StackFault {
  if (error instanceof Deno.errors.AddrInUse) {
    return new StackFault(
      "PORT_TAKEN",
      `Port ${port} is taken by another process: end that one, or choose another port with ${option} <port>.`,
      { cause: error },
    );
  }
  if (error instanceof Deno.errors.PermissionDenied) {
    return new StackFault(
      "PORT_FORBIDDEN",
      `This user may not listen on port ${port}: choose one above 1023 with ${option} <port>.`,
      { cause: error },
    );
  }
  return new StackFault("PORT_TAKEN", `Cannot listen on port ${port}: choose another with ${option} <port>.`, {
    cause: error,
  });
}

/**
 * Finds out early whether `port` can be had; 0 always can.
 *
 * @throws {StackFault} `PORT_TAKEN` or `PORT_FORBIDDEN`.
 */
export function requirePort(port: number, option: string): void {
  try {
    Deno.listen({ hostname: LOOPBACK, port }).close();
  } catch (error) {
    throw portFault(error, port, option);
  }
}
