/**
 * Bodies of requests to the services of the stack.
 *
 * @module
 */

/**
 * Reads a body as text.
 *
 * @param maxBytes The largest size.
 * @returns The text; empty without a body, and `undefined` for a body that is larger.
 */
export async function readText({ body }: Request, maxBytes: number): Promise<string | undefined> {
  const chunks: Uint8Array<ArrayBuffer>[] = [];
  let length = 0;
  for await (const chunk of body ?? []) {
    length += chunk.length;
    if (length > maxBytes) return undefined;
    chunks.push(chunk);
  }
  return await new Blob(chunks).text();
}

/** Parses a JSON object; `undefined` for other text. An empty text stands for an object without members. */
export function parseObject(text: string): Record<string, unknown> | undefined {
  if (text.trim() === "") return {};
  try {
    const value: unknown = JSON.parse(text);
    return typeof value === "object" && value !== null && !Array.isArray(value) ? { ...value } : undefined;
  } catch {
    // Its message would quote the text, which may hold a password.
    return undefined;
  }
}

/** The longest time for which the rest of a rejected body is read, in ms. */
export const DRAIN_MS = 5_000;

/**
 * Reads the rest of a body without keeping it: most clients read no response before they have sent their body.
 *
 * @param forMs The longest time, in ms. Default: {@linkcode DRAIN_MS}.
 */
export async function drain({ body }: Request, forMs = DRAIN_MS): Promise<void> {
  if (!body || body.locked) return;
  const reader = body.getReader();
  // A client may stop sending.
  const timer = setTimeout(() => reader.cancel().catch(() => {}), forMs);
  try {
    while (!(await reader.read()).done);
  } catch {
    // The client has disconnected.
  } finally {
    clearTimeout(timer);
  }
}
