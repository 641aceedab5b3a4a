/**
 * A stream that notifies of its end.
 *
 * @module
 */
/**
 * Returns a stream with the chunks of `stream`.
 *
 * @param onEnd Called once: when it has ended or was canceled, or with the error that it failed with. After a cancel it is
 * called when the source has finished with that.
 */
export function watchStream(
  stream: ReadableStream<Uint8Array<ArrayBuffer>>,
  onEnd: (failure?: { readonly error: unknown }) => void,
): ReadableStream<Uint8Array<ArrayBuffer>> {
  const reader = stream.getReader();
  return new ReadableStream({
    async pull(controller) {
      try {
        const { done, value } = await reader.read();
        if (!done) return controller.enqueue(value);
        onEnd();
        controller.close();
      } catch (error) {
        onEnd({ error });
        controller.error(error);
      }
    },
    async cancel(reason) {
      try {
        await reader.cancel(reason);
      } finally {
        onEnd();
      }
    },
  }, { highWaterMark: 0 });
}
