/**
 * Reads the static members of error classes.
 *
 * @module
 */

interface Statics {
  readonly code?: unknown;
  readonly retry?: unknown;
  readonly http?: { readonly status?: unknown };
}

/** Returns the code, retry class and HTTP status of each error class that a module exports, by the name of the class. */
export function errorStatics(exports: object): Record<string, (string | number)[]> {
  const statics: Record<string, (string | number)[]> = {};
  for (const [name, value] of Object.entries(exports).sort(([a], [b]) => a < b ? -1 : 1)) {
    if (typeof value !== "function" || !(value.prototype instanceof Error)) continue;
    const { code, retry, http }: Statics = value;
    statics[name] = [String(code), String(retry), Number(http?.status)];
  }
  return statics;
}
