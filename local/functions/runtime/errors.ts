/**
 * Errors of a function's module.
 *
 * @module
 */

/** Returns the name, the message and the file with line of an error that loading a module threw. */
export function describeLoadError(error: unknown): string {
  if (!(error instanceof Error)) return `The module threw ${String(error)}`;
  const text = `${error.name}: ${error.message}`;
  if (/\bfile:\/\/\S+:\d+:\d+/.test(error.message)) return text;
  // The first frame that is not of the runtime.
  const frame = /\bfile:\/\/[^\s)]+:\d+:\d+/.exec(error.stack?.slice(text.length) ?? "")?.[0];
  return frame === undefined || frame.includes("/local/functions/bootstrap.ts") ? text : `${text} at ${frame}`;
}
