/**
 * Requests and responses between the gateway and the process of a function.
 *
 * @module
 */
import { TOKEN_HEADER } from "../../control.ts";
import {
  ABSENT_HEADER,
  COMMAND_HEADER,
  ENCODING_HEADER,
  ORIGIN_HEADER,
  ORIGINAL_PREFIX,
  UPGRADE_HEADER,
} from "../protocol.ts";

/** Returns the headers of the caller: without those that the stack or `fetch` has added. */
function publicHeaders(from: Headers): Headers {
  const headers = new Headers(from);
  for (const name of from.get(ABSENT_HEADER)?.match(/[^,]+/g) ?? []) headers.delete(name);
  for (const [name, value] of from) {
    if (!name.startsWith(ORIGINAL_PREFIX)) continue;
    headers.delete(name);
    headers.set(name.slice(ORIGINAL_PREFIX.length), value);
  }
  for (const name of [TOKEN_HEADER, COMMAND_HEADER, ORIGIN_HEADER, ABSENT_HEADER, UPGRADE_HEADER]) headers.delete(name);
  return headers;
}

/** Requests as the function sees them, and the ones that this process has received. */
const received = new WeakMap<Request, Request>();

/** Returns the request as the function sees it: with its public URL, without the headers of the stack. */
export function publicRequest(request: Request): Request {
  const origin = request.headers.get(ORIGIN_HEADER) ?? "";
  const { pathname, search } = new URL(request.url);
  const visible = new Request(`${origin}${pathname}${search}`, {
    method: request.method,
    headers: publicHeaders(request.headers),
    body: request.body,
    signal: request.signal,
    redirect: "manual",
  });
  received.set(visible, request);
  return visible;
}

/** Makes `Deno.upgradeWebSocket` accept the requests that the function sees. */
export function installUpgrade(): void {
  const upgrade = Deno.upgradeWebSocket;
  Object.defineProperty(Deno, "upgradeWebSocket", {
    value: (request: Request, options?: Deno.UpgradeWebSocketOptions) =>
      upgrade(received.get(request) ?? request, options),
    configurable: true,
    enumerable: true,
    writable: true,
  });
}

/** Hides the encoding of a body from the `fetch` of the gateway, which passes the body on as it is. */
export function privateResponse(response: Response): Response {
  const encoding = response.headers.get("content-encoding");
  if (encoding === null) return response;
  const headers = new Headers(response.headers);
  headers.delete("content-encoding");
  headers.set(ENCODING_HEADER, encoding);
  const { status, statusText, body } = response;
  return new Response(body, { status, statusText, headers });
}

const REFUSAL_MS = 10_000;

/** Responses to requests for a WebSocket that the function did not upgrade; the gateway fetches each of them. */
export class Refusals {
  readonly #responses = new Map<string, Response>();

  /** Keeps a response for a short time. Returns the response to the request itself. */
  add(id: string, response: Response): Response {
    this.#responses.set(id, response);
    Deno.unrefTimer(setTimeout(() => this.take(id)?.body?.cancel(), REFUSAL_MS));
    return new Response(null, { status: 426 });
  }

  /** Removes and returns a response. */
  take(id: string): Response | undefined {
    const response = this.#responses.get(id);
    this.#responses.delete(id);
    return response;
  }
}
