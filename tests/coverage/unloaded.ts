/**
 * Modules that no test loads. `deno coverage` leaves them out, and so it does
 * modules without code.
 *
 * @module
 */

/** Comments, and strings that could look like comments. */
const COMMENTS = /\/\*[^]*?\*\/|^\s*\/\/.*$/gm;

/** A statement at the top level that exists at run time. */
const CODE = /^(export )?((async|abstract) )?(const|let|function|class)\b|^export (default\b|\{|\*)/m;

/** Returns true if a module has code at run time: not only types. */
export function hasCode(source: string): boolean {
  return CODE.test(source.replaceAll(COMMENTS, ""));
}
