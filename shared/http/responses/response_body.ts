/**
 * The body of a response, as a server sends it.
 *
 * @module
 */
/**
 * Deno's own access to the body of a response. The public `body` turns text and bytes into a stream, which then are sent
 * in chunks, without a length and at a multiple of the cost.
 */
const BODY: symbol | undefined = Object.getOwnPropertySymbols(Response.prototype).find(({ description }) =>
  description === "body"
);

/** The value of that. */
interface InnerBody {
  /** The text or bytes that it was created from; `null` for a stream. */
  readonly source: unknown;
  readonly streamOrStatic: unknown;
}

/**
 * Returns the body of `response` if it is a stream that code of the program may produce, and `undefined` for any other
 * body.
 *
 * @throws {TypeError} when no server can send it: it was read before, or is locked to a reader.
 */
export function streamOf(response: Response): ReadableStream<Uint8Array<ArrayBuffer>> | undefined {
  if (response.bodyUsed) throw new TypeError("Cannot send the handler's Response: its body was already read");
  const body: InnerBody | null | undefined = BODY && Reflect.get(response, BODY);
  if (body === null) return undefined;
  const stream = body === undefined ? response.body : body.streamOrStatic;
  if (!(stream instanceof ReadableStream)) return undefined;
  if (stream.locked) throw new TypeError("Cannot send the handler's Response: its body is locked to a reader");
  // The runtime itself produces the bodies of `fetch`, and of a Blob and the like.
  const isOfRuntime = (response.url !== "" && response.constructor === Response) || (body?.source ?? null) !== null;
  return isOfRuntime ? undefined : response.body ?? undefined;
}

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
