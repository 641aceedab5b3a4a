/**
 * The runtime's own way to send.
 *
 * @module
 */

/** The global `fetch`, as it is when it is called. */
export const globalFetch: typeof fetch = (input, init) => fetch(input, init);
