/**
 * The runtime's own way to send.
 *
 * @module
 */

/** The global `fetch`, as it is when it is called. */
export function globalFetch(input: RequestInfo | URL, init?: RequestInit): Promise<Response> {
  return fetch(input, init);
}
