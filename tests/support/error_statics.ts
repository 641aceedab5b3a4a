/**
 * Tests the static members of error classes.
 *
 * @module
 */

import { assertEquals } from "@std/assert";

interface Statics {
  readonly code?: unknown;
  readonly retry?: unknown;
  readonly http?: { readonly status?: unknown };
}

/** The code, the retry class and the HTTP status of error classes, by the name of the class. */
type StaticsByClass = Record<string, [code: string, retry: string, status: number]>;

/** Tests that the error classes that the `mod.ts` of a folder exports are exactly the expected ones. */
export function testErrorStatics(folder: string, exports: object, expected: StaticsByClass): void {
  Deno.test(`each error class of ${folder} has its code, retry class and HTTP status`, () => {
    assertEquals(staticsOf(exports), expected);
  });
}

function staticsOf(exports: object): StaticsByClass {
  const statics: StaticsByClass = {};
  for (const [name, value] of Object.entries(exports).sort(([a], [b]) => a < b ? -1 : 1)) {
    if (typeof value !== "function" || !(value.prototype instanceof Error)) continue;
    const { code, retry, http }: Statics = value;
    statics[name] = [String(code), String(retry), Number(http?.status)];
  }
  return statics;
}
