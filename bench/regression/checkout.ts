/**
 * Two checkouts of this project in one process.
 *
 * @module
 */

/** A version of the library: the public entry points that the cases use. */
export interface Checkout {
  readonly shared: typeof import("../../shared/mod.ts");
  readonly postgres: typeof import("../../shared/postgres/mod.ts");
}

/** The two versions that are compared. */
export type Side = "before" | "after";

/** Both sides, in the order of the tables. */
export const SIDES: readonly Side[] = ["before", "after"];

/** Returns the URL of a checkout's entry point, such as `shared/mod.ts`. `root` is an absolute path. */
export function entryPoint(root: string, path: string): string {
  return new URL(`file://${root.replace(/\/?$/, "/")}${path}`).href;
}

/**
 * Imports a checkout. Its bare imports resolve through the import map of this
 * project, so both sides run on the same packages.
 *
 * @throws {Error} when an entry point is missing or cannot be loaded.
 */
export async function importCheckout(root: string): Promise<Checkout> {
  return {
    shared: await import(entryPoint(root, "shared/mod.ts")),
    postgres: await import(entryPoint(root, "shared/postgres/mod.ts")),
  };
}
