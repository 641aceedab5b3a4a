/**
 * The names by which the stack and a function's process understand each
 * other.
 *
 * @module
 */

/** The variable with the URL of the function's module. */
export const ENTRYPOINT_VARIABLE = "STACK_ENTRYPOINT";

/** The variable that lists what the function may see of its environment. */
export const VISIBLE_VARIABLE = "STACK_VISIBLE";

/** The header with the address that the caller used, without the path. */
export const ORIGIN_HEADER = "x-stack-origin";

/** The header with an order for the process itself. */
export const COMMAND_HEADER = "x-stack-command";

/** The order to get ready to end. */
export const RETIRE = "retire";
