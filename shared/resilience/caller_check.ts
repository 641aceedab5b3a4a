/**
 * A check before anything acts for a signed-in caller. The cache is a layer below what acts for callers, and is loaded
 * only where it is used: it installs its check here, and without it a check is one comparison.
 *
 * @module
 */

let installed: (() => void) | undefined = undefined;

/** Installs the check; the latest one counts. What `check` throws, {@linkcode checkCaller} throws. */
export function installCallerCheck(check: () => void): void {
  installed = check;
}

/** Called before a statement or a call is sent with the identity of a signed-in caller. Throws if it may not be. */
export function checkCaller(): void {
  if (installed !== undefined) installed();
}
