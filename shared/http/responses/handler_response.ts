/**
 * The response that a handler returned: the checks of it, and of its body.
 *
 * @module
 */
import { memberOf } from "../../resilience/mod.ts";

/**
 * Returns the response that a handler threw, as handlers of Hono and Remix do, the one of an `HTTPException` included;
 * `undefined` for any other value.
 */
export function thrownResponse(thrown: unknown): Response | undefined {
  if (thrown instanceof Response) return thrown;
  const getResponse = memberOf(thrown, "getResponse");
  const response: unknown = typeof getResponse === "function" ? getResponse.call(thrown) : undefined;
  return response instanceof Response ? response : undefined;
}

/** The function that a response is of, for errors. */
type Responder = "the handler" | "onRejected" | "toResponse";

/** Matches what no header of a response may have. `Headers` take it, and Deno ends the process when it is sent. */
const CONTROL_CHARACTER = /[^\t\x20-\x7e\x80-\xff]/;

/** Returns whether a header with that value cannot be sent. */
export function isUnsendable(value: string): boolean {
  return CONTROL_CHARACTER.test(value);
}

/** Deno's own list of headers. Iterating `Headers` sorts them first, at several times the cost. */
const LIST: symbol | undefined = Object.getOwnPropertySymbols(new Headers()).find(({ description }) =>
  description === "header list"
);

function headersOf({ headers }: Response): Iterable<readonly [name: string, value: string]> {
  const list: unknown = LIST && Reflect.get(headers, LIST);
  return Array.isArray(list) ? list : headers;
}

/**
 * Returns what a handler returned, if it is a response.
 *
 * @throws {TypeError} for what a server cannot send.
 */
export function checkResponse(returned: unknown, by: Responder = "the handler"): Response {
  if (!(returned instanceof Response)) {
    const shown = returned === null ? "null" : typeof returned;
    throw new TypeError(`${by === "the handler" ? "The handler" : by} must return a Response: it returned ${shown}`);
  }
  if (returned.type === "error") {
    throw new TypeError(`Cannot send the Response of ${by}: it is a network error (Response.error())`);
  }
  try {
    for (const [name, value] of headersOf(returned)) {
      if (isUnsendable(value)) {
        throw new TypeError(`Cannot send the Response of ${by}: its header ${name} has a control character. Encode it`);
      }
    }
  } catch (error) {
    // Nothing reads its body, which may be a stream.
    cancelBody(returned);
    throw error;
  }
  return returned;
}

/**
 * Deno's own access to the body of a response. The public `body` turns text and bytes into a stream, which then are sent
 * in chunks, without a length and at a multiple of the cost.
 */
const BODY: symbol | undefined = Object.getOwnPropertySymbols(Response.prototype).find(({ description }) =>
  description === "body"
);

/** The text of a response, in newer versions of Deno, for as long as nothing has asked for its body. */
const TEXT: symbol | undefined = Object.getOwnPropertySymbols(new Response("")).find(({ description }) =>
  description === "lazy static body"
);

/** The value of {@linkcode BODY}. */
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
export function streamOf(
  response: Response,
  by: Responder = "the handler",
): ReadableStream<Uint8Array<ArrayBuffer>> | undefined {
  // First: a text that nothing has asked for was not read, and asking costs more than the rest.
  if (TEXT && typeof Reflect.get(response, TEXT) === "string") return undefined;
  if (response.bodyUsed) throw new TypeError(`Cannot send the Response of ${by}: its body was already read`);
  const body: InnerBody | null | undefined = BODY && Reflect.get(response, BODY);
  if (body === null) return undefined;
  const stream = body === undefined ? response.body : body.streamOrStatic;
  if (!(stream instanceof ReadableStream)) return undefined;
  if (stream.locked) throw new TypeError(`Cannot send the Response of ${by}: its body is locked to a reader`);
  // The runtime itself produces the bodies of `fetch`, and of a Blob and the like.
  const isOfRuntime = (response.url !== "" && response.constructor === Response) || (body?.source ?? null) !== null;
  return isOfRuntime ? undefined : response.body ?? undefined;
}

/**
 * Returns `response`, or a copy of it if it has no body: a program may return such a response to each request, and the
 * headers of CORS of one caller are not those of the next.
 */
export function ownResponse(response: Response): Response {
  if (TEXT && typeof Reflect.get(response, TEXT) === "string") return response;
  const body: unknown = BODY ? Reflect.get(response, BODY) : response.body;
  return body === null && response.status >= 200 ? new Response(null, response) : response;
}

/** Returns the status that a server sends: an object of the application's own class may show another, or throw. */
export function sentStatus(response: Response): number {
  return Number(Reflect.get(Response.prototype, "status", response));
}

/** Cancels the body of a response that is not sent, so that it keeps no connection and no work. Never throws. */
export function cancelBody(response: Response | undefined): void {
  try {
    response?.body?.cancel().catch(() => {});
  } catch {
    // An object of the application's own class may throw where its body is read.
  }
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
  // A read is under way whenever a server cancels: it then ends, and `cancel` has the rest.
  let isCanceled = false;
  return new ReadableStream({
    async pull(controller) {
      try {
        const { done, value } = await reader.read();
        if (isCanceled) return;
        if (!done) return controller.enqueue(value);
        onEnd();
        controller.close();
      } catch (error) {
        if (isCanceled) return;
        onEnd({ error });
        controller.error(error);
      }
    },
    async cancel(reason) {
      isCanceled = true;
      try {
        await reader.cancel(reason);
      } finally {
        onEnd();
      }
    },
  }, { highWaterMark: 0 });
}
