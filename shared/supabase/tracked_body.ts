/**
 * Tells when an answer's body has been read.
 *
 * @module
 */

/** What reads a whole body. */
const READERS = ["arrayBuffer", "blob", "bytes", "formData", "json", "text"] as const;

/** Statuses that never have a body (Fetch standard, "null body status"). */
const WITHOUT_BODY = [101, 103, 204, 205, 304];

/**
 * Calls `done` once the body of `response` has been read to its end, was
 * cancelled or failed; at once when there is none to read. The response itself
 * is returned, so that its `url`, `type` and identity stay what they are.
 */
export function trackBody(response: Response, method: string, done: () => void): Response {
  if (method === "HEAD" || WITHOUT_BODY.includes(response.status) || response.body === null) {
    done();
    return response;
  }
  const original = response.body;
  for (const name of READERS) {
    const read: unknown = Reflect.get(response, name);
    if (typeof read !== "function") continue; // `bytes` is younger than the others
    Object.defineProperty(response, name, {
      configurable: true,
      value: () => Promise.resolve(Reflect.apply(read, response, [])).finally(done),
    });
  }
  let stream: ReadableStream<Uint8Array<ArrayBuffer>> | undefined;
  Object.defineProperty(response, "body", {
    configurable: true,
    get: () => stream ??= trackStream(original, done),
  });
  const clone = response.clone;
  Object.defineProperty(response, "clone", {
    configurable: true,
    value: () => trackBody(Reflect.apply(clone, response, []), method, done),
  });
  return response;
}

function trackStream(
  source: ReadableStream<Uint8Array<ArrayBuffer>>,
  done: () => void,
): ReadableStream<Uint8Array<ArrayBuffer>> {
  // Locked only when the stream is first read: looking at `body` must not use it up.
  let reader: ReadableStreamDefaultReader<Uint8Array<ArrayBuffer>> | undefined;
  return new ReadableStream({
    async pull(controller) {
      reader ??= source.getReader();
      try {
        const chunk = await reader.read();
        if (!chunk.done) return controller.enqueue(chunk.value);
        controller.close();
        done();
      } catch (error) {
        controller.error(error);
        done();
      }
    },
    async cancel(reason) {
      done();
      await (reader ? reader.cancel(reason) : source.cancel(reason));
    },
  }, { highWaterMark: 0 });
}
