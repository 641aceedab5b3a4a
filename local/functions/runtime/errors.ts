/**
 * Errors of a function's module.
 *
 * @module
 */

/** Returns the file URLs with line and column in `text`. */
function locationsIn(text: string): string[] {
  return text.split(/[\s()]/).filter((word) => word.startsWith("file://") && /:\d{1,9}:\d{1,9}$/.test(word));
}

/** Returns the name, the message and the file with line of an error that loading a module threw. */
export function describeLoadError(error: unknown): string {
  if (!(error instanceof Error)) return `The module threw ${String(error)}`;
  const [first = "", ...rest] = error.message.split("\n");
  // Deno reports every error of a module as a TypeError.
  const text = /^\w*Error: /.test(first) ? first : `${error.name}: ${first}`;
  if (locationsIn(first).length > 0) return text;
  const [named] = locationsIn(rest.join("\n"));
  if (named !== undefined) return `${text} at ${named}`;
  const frames = locationsIn(error.stack ?? "");
  // The line of the project says more than one of a package.
  const frame = frames.find((frame) => !/\/npm\/|\/node_modules\/|\/local\/functions\//.test(frame)) ?? frames[0];
  return frame === undefined || frame.includes("/local/functions/") ? text : `${text} at ${frame}`;
}
