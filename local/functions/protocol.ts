/**
 * The names of variables, headers and commands between the stack and the process
 * of a function.
 *
 * @module
 */

/** The variable with the URL of the function's module. */
export const ENTRYPOINT_VARIABLE = "STACK_ENTRYPOINT";

/** The variable with the names of the variables that the function sees. */
export const VISIBLE_VARIABLE = "STACK_VISIBLE";

/** The variable with the path of a Unix socket for a server of `node:http`. */
export const SOCKET_VARIABLE = "STACK_SOCKET";

/** The header with the origin that the caller used. */
export const ORIGIN_HEADER = "x-stack-origin";

/** The header with the names of headers that the caller did not send; `fetch` adds some. */
export const ABSENT_HEADER = "x-stack-absent";

/** The prefix of headers that hold a value of the caller which `fetch` replaces. */
export const ORIGINAL_PREFIX = "x-stack-original-";

/** The header with the encoding of a response's body. */
export const ENCODING_HEADER = "x-stack-content-encoding";

/** The header with the id of a request for a WebSocket. */
export const UPGRADE_HEADER = "x-stack-upgrade";

/** The header with a command for the process. */
export const COMMAND_HEADER = "x-stack-command";

/** The command to dispatch `beforeunload` and finish background work; the path is the reason. */
export const RETIRE = "retire";

/** The command to dispatch `beforeunload` only; the path is the reason. */
export const UNLOAD = "unload";

/** The command to return the response to a request for a WebSocket; {@linkcode UPGRADE_HEADER} holds its id. */
export const REFUSAL = "refusal";
