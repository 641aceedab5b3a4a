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

/** The header with the origin that the caller used. */
export const ORIGIN_HEADER = "x-stack-origin";

/** The header with a command for the process. */
export const COMMAND_HEADER = "x-stack-command";

/** The command to finish background work before the process is stopped. */
export const RETIRE = "retire";
