/**
 * Ends what a library leaves open.
 *
 * @module
 */

/**
 * Cancels, when it is disposed, the bodies of responses that were not read: `withSupabase()`, and handlers that cache no
 * tokens, leave the body of a response that is not a key set unread.
 */
export function cancelUnreadBodies(): AsyncDisposable {
  const real = globalThis.fetch;
  const responses: Response[] = [];
  globalThis.fetch = async (...args) => {
    const response = await real(...args);
    responses.push(response);
    return response;
  };
  return {
    async [Symbol.asyncDispose]() {
      globalThis.fetch = real;
      for (const { bodyUsed, body } of responses) if (!bodyUsed) await body?.cancel();
    },
  };
}
