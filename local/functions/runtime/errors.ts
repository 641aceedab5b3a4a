/**
 * Errors of a function's module.
 *
 * @module
 */

/** Returns the name, the message and the file with line of an error that loading a module threw. */
export function describeLoadError(error: unknown): string {
  if (!(error instanceof Error)) return `The module threw ${String(error)}`;
  const [first = "", ...rest] = error.message.split("\n");
  // Deno reports every error of a module as a TypeError.
  const text = /^\w*Error: /.test(first) ? first : `${error.name}: ${first}`;
  const location = /\bfile:\/\/\S+:\d+:\d+/;
  if (location.test(first)) return text;
  const named = location.exec(rest.join("\n"))?.[0];
  if (named !== undefined) return `${text} at ${named}`;
  const frames = error.stack?.match(/\bfile:\/\/[^\s)]+:\d+:\d+/g) ?? [];
  // The line of the project says more than one of a package.
  const frame = frames.find((frame) => !/\/npm\/|\/node_modules\/|\/local\/functions\//.test(frame)) ?? frames[0];
  return frame === undefined || frame.includes("/local/functions/") ? text : `${text} at ${frame}`;
}
