/**
 * `abortable` of `jsr:@std/async`. It has an entry point of its own, as in the
 * real package: what is deployed loads this one module and not all of them.
 *
 * @module
 */

/**
 * Makes a promise abortable: the returned promise settles as `p` does, or rejects with the reason of `signal` if that
 * aborts first.
 *
 * @throws {unknown} The reason of `signal`, also if it has aborted already.
 */
export function abortable<T>(p: Promise<T>, signal: AbortSignal): Promise<T>;
/**
 * Makes an async iterable abortable: iteration ends with the reason of `signal` if that aborts first.
 *
 * @throws {unknown} The reason of `signal`, also if it has aborted already.
 */
export function abortable<T>(p: AsyncIterable<T>, signal: AbortSignal): AsyncGenerator<T>;
export function abortable<T>(
  p: Promise<T> | AsyncIterable<T>,
  signal: AbortSignal,
): Promise<T> | AsyncGenerator<T> {
  return p instanceof Promise ? abortablePromise(p, signal) : abortableIterable(p, signal);
}

/** Rejects when a signal aborts, until it is disposed of. */
function whenAborted(signal: AbortSignal): { readonly aborted: Promise<never> } & Disposable {
  const { promise, reject } = Promise.withResolvers<never>();
  const onAbort = () => reject(signal.reason);
  if (signal.aborted) onAbort();
  else signal.addEventListener("abort", onAbort, { once: true });
  return { aborted: promise, [Symbol.dispose]: () => signal.removeEventListener("abort", onAbort) };
}

function abortablePromise<T>(promise: Promise<T>, signal: AbortSignal): Promise<T> {
  const watch = whenAborted(signal);
  return Promise.race([watch.aborted, promise]).finally(() => watch[Symbol.dispose]());
}

async function* abortableIterable<T>(source: AsyncIterable<T>, signal: AbortSignal): AsyncGenerator<T> {
  signal.throwIfAborted();
  using watch = whenAborted(signal);
  const iterator = source[Symbol.asyncIterator]();
  let ended = false;
  try {
    for (;;) {
      const next = await Promise.race([watch.aborted, iterator.next()]);
      if (next.done) {
        ended = true;
        return (await iterator.return?.(next.value))?.value;
      }
      yield next.value;
    }
  } finally {
    if (!ended) await iterator.return?.();
  }
}
