/**
 * WebSockets between a client and a child process.
 *
 * @module
 */
import { TOKEN_HEADER } from "../control.ts";
import { COMMAND_HEADER, REFUSAL, UPGRADE_HEADER } from "../functions/protocol.ts";
import { LOOPBACK } from "../ports.ts";
import { forward, forwardedHeaders, MalformedRequestError, type Target } from "./proxy.ts";

/** Returns whether the client asks for a WebSocket. */
export function isWebSocketRequest(request: Request): boolean {
  return request.headers.get("upgrade")?.toLowerCase() === "websocket";
}

/** Waits until `socket` is open: `true`, or is closed: `false`. Closes it when `signal` aborts. */
async function opened(socket: WebSocket, signal: AbortSignal): Promise<boolean> {
  const { promise, resolve } = Promise.withResolvers<boolean>();
  socket.addEventListener("open", () => resolve(true), { once: true });
  socket.addEventListener("error", () => resolve(false), { once: true });
  socket.addEventListener("close", () => resolve(false), { once: true });
  const close = () => {
    socket.close();
    resolve(false);
  };
  signal.addEventListener("abort", close);
  if (signal.aborted) close();
  try {
    return await promise;
  } finally {
    signal.removeEventListener("abort", close);
  }
}

/** Passes the messages and the end of `from` on to `to`. */
function relay(from: WebSocket, to: WebSocket): void {
  from.addEventListener("message", ({ data }) => to.readyState === WebSocket.OPEN && to.send(data));
  from.addEventListener("close", ({ code, reason }) => {
    // Codes such as 1006 say how a connection ended: they cannot be sent.
    if (code === 1000 || (code >= 3000 && code < 5000)) to.close(code, reason);
    else to.close();
  });
  // A close event follows.
  from.addEventListener("error", (event) => event.preventDefault());
}

/**
 * Connects the client of `request` with a WebSocket of `target`.
 *
 * @param path The path and query at the target.
 * @param extra Headers to add.
 * @param options.signal Aborts the handshake.
 * @param options.onEnd Called when a connection has ended, which has a response of status 101.
 * @returns The response: that of the target, if it does not open a WebSocket.
 * @throws {MalformedRequestError} If the handshake is invalid.
 * @throws The reason of `signal`, if it aborts the handshake.
 * @throws {TypeError} If the target cannot be reached or closes the connection before its response.
 */
export async function forwardWebSocket(
  request: Request,
  target: Target,
  path: string,
  extra: Readonly<Record<string, string>>,
  { signal, onEnd }: { readonly signal: AbortSignal; readonly onEnd: () => void },
): Promise<Response> {
  const id = crypto.randomUUID();
  const headers = forwardedHeaders(request, target, { ...extra, [UPGRADE_HEADER]: id });
  for (const name of [...headers.keys()]) if (name.startsWith("sec-websocket-")) headers.delete(name);
  const protocols = (request.headers.get("sec-websocket-protocol") ?? "").split(",").map((name) => name.trim())
    .filter((name) => name !== "");
  let upstream: WebSocket;
  try {
    upstream = new WebSocket(`ws://${LOOPBACK}:${target.port}${path}`, { protocols, headers });
  } catch (error) {
    // A name of a protocol that is not a token, or is named twice.
    throw new MalformedRequestError("The header sec-websocket-protocol is invalid.", { cause: error });
  }
  upstream.binaryType = "arraybuffer";
  // Messages that arrive before the client is connected are kept.
  const early: MessageEvent[] = [];
  const keep = (event: MessageEvent) => void early.push(event);
  upstream.addEventListener("message", keep);
  if (!await opened(upstream, signal)) {
    signal.throwIfAborted();
    const question = new Request(request.url);
    return await forward(question, target, "/", {
      [TOKEN_HEADER]: target.token,
      [COMMAND_HEADER]: REFUSAL,
      [UPGRADE_HEADER]: id,
    }, signal);
  }
  const { protocol } = upstream;
  let upgraded: Deno.WebSocketUpgrade;
  try {
    upgraded = Deno.upgradeWebSocket(request, {
      ...(protocol === "" ? {} : { protocol }),
      // The function sends pings, if it wants to.
      idleTimeout: 0,
    });
  } catch (error) {
    // The client has disconnected, or its handshake is not one.
    upstream.close();
    throw new MalformedRequestError("The request is not a valid handshake of a WebSocket.", { cause: error });
  }
  upstream.addEventListener("close", onEnd, { once: true });
  const { socket, response } = upgraded;
  // Of a client that disconnects before it has the response, no event follows.
  request.signal.addEventListener("abort", () => socket.readyState === WebSocket.CONNECTING && upstream.close());
  socket.binaryType = "arraybuffer";
  relay(socket, upstream);
  socket.addEventListener("open", () => {
    upstream.removeEventListener("message", keep);
    for (const { data } of early) socket.send(data);
    relay(upstream, socket);
    if (upstream.readyState > WebSocket.OPEN) socket.close();
  });
  return response;
}
