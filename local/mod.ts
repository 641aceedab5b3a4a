/**
 * The local stack, for tests and tools.
 *
 * @example
 * ```ts
 * await using stack = await startStack({ ephemeral: true });
 * const client = createClient(stack.url, stack.publishableKey);
 * ```
 *
 * @module
 */
export { StackError, type StackErrorCode } from "./stack_error.ts";
export { type LocalPostgres, startPostgres, type StartPostgresOptions } from "./postgres/mod.ts";
export { type Stack, type StackOptions, startStack } from "./stack.ts";
