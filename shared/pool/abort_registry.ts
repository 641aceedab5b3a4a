/**
 * The signals of waiting callers.
 *
 * @module
 */

/**
 * Reports the elements whose signal aborts. However many elements share a
 * signal, it gets one listener: the platform goes through all listeners of a
 * signal whenever one is added or removed.
 */
export class AbortRegistry<N extends object> {
  readonly #onAbort: (elements: readonly N[], reason: unknown) => void;
  readonly #watched = new Map<AbortSignal, { readonly elements: Set<N>; readonly listener: () => void }>();

  /** @param onAbort Called with the elements whose signal aborted, in order; they are watched no longer. */
  constructor(onAbort: (elements: readonly N[], reason: unknown) => void) {
    this.#onAbort = onAbort;
  }

  /** Watches the signal of an element, which has not aborted. */
  add(element: N, signal: AbortSignal): void {
    let watched = this.#watched.get(signal);
    if (!watched) {
      const elements = new Set<N>();
      const listener = () => {
        this.#watched.delete(signal);
        signal.removeEventListener("abort", listener);
        this.#onAbort([...elements], signal.reason);
      };
      watched = { elements, listener };
      signal.addEventListener("abort", listener);
      this.#watched.set(signal, watched);
    }
    watched.elements.add(element);
  }

  /** Stops watching an element, if it was watched. */
  remove(element: N, signal: AbortSignal): void {
    const watched = this.#watched.get(signal);
    if (!watched?.elements.delete(element) || watched.elements.size > 0) return;
    this.#watched.delete(signal);
    signal.removeEventListener("abort", watched.listener);
  }
}
