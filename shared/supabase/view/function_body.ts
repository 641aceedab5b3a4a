/**
 * Bodies of function calls. functions-js takes every body that it does not know for JSON: a form, a stream or a typed
 * array would arrive as `{}`, or as an object of numbers.
 *
 * @module
 */

/** The options of an invocation that a body needs. */
interface InvokeOptions {
  readonly body?: unknown;
  readonly headers?: Record<string, string> | undefined;
}

const FORM = "application/x-www-form-urlencoded;charset=UTF-8";
const BYTES = "application/octet-stream";

/** A body that functions-js takes for JSON. */
type MistakenBody = URLSearchParams | ArrayBufferView | ReadableStream;

/** Returns whether functions-js takes a body for JSON that is not. */
export function isMistaken(body: unknown): body is MistakenBody {
  return body instanceof URLSearchParams || ArrayBuffer.isView(body) || body instanceof ReadableStream;
}

/**
 * Returns `options` with `body`, which is theirs, as functions-js sends it unchanged. A stream is read into memory first.
 *
 * @throws {unknown} What reading a stream throws.
 */
export async function sendable<Options extends InvokeOptions>(options: Options, body: MistakenBody): Promise<Options> {
  if (body instanceof URLSearchParams) return typed(options, body.toString(), FORM);
  if (ArrayBuffer.isView(body)) {
    const { buffer, byteOffset, byteLength } = body;
    return typed(options, new Uint8Array(buffer, byteOffset, byteLength).slice().buffer, BYTES);
  }
  return typed(options, await new Response(body).arrayBuffer(), BYTES);
}

/** Returns `options` with `body`, and with its media type unless they name one. */
function typed<Options extends InvokeOptions>(options: Options, body: string | ArrayBuffer, type: string): Options {
  const headers = options.headers ?? {};
  const isTyped = Object.keys(headers).some((name) => name.toLowerCase() === "content-type");
  return { ...options, body, headers: isTyped ? headers : { ...headers, "Content-Type": type } };
}
