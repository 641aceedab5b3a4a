/**
 * Servers of `node:http`, such as those of Express: each listens on a Unix socket
 * of its own, and receives the requests of the function.
 *
 * @module
 */
import type { Server } from "node:http";
import { ADDRESS, type Servers } from "./servers.ts";

/** Matches the source of a module that serves with the means of Deno. */
const SERVES = /\bDeno\.serve\b|\bexport\s+default\b|\bas\s+default\b|\bserve\s*\(/;
const ID_HEADER = "x-stack-id";

/**
 * Makes the servers of `node:http` receive the requests of the function. Loading that module takes time: this is done
 * only for a function whose own module serves by no other means.
 *
 * @param entrypoint The URL of the function's module.
 * @param socket The path of the Unix socket. The stack removes it when the process has exited.
 */
export async function installNodeServers(servers: Servers, entrypoint: string, socket: string): Promise<void> {
  const source = await Deno.readTextFile(new URL(entrypoint)).catch(() => "");
  if (source === "" || SERVES.test(source)) return;
  const { Server } = await import("node:http");
  const listen = Server.prototype.listen;
  let count = 0;
  const replacement = function (this: Server, ...args: unknown[]): Server {
    const listening = args.findLast((argument): argument is () => void => typeof argument === "function");
    const path = count++ === 0 ? socket : `${socket}.${count}`;
    receive(this, path, servers);
    return listen.call(this, { path }, ...(listening ? [listening] : []));
  };
  Object.defineProperty(Server.prototype, "listen", { value: replacement, configurable: true, writable: true });
}

/** Opens a server that forwards requests to `server`, which listens on the Unix socket `path`. */
function receive(server: Server, path: string, servers: Servers): void {
  const client = Deno.createHttpClient({ proxy: { transport: "unix", path }, allowHost: true });
  const requests = new Map<string, Request>();
  server.prependListener("request", (message) => {
    const id = String(message.headers[ID_HEADER]);
    const request = requests.get(id);
    if (!request) return;
    requests.delete(id);
    const { pathname, search } = new URL(request.url);
    Object.defineProperties(message, {
      url: { value: pathname + search, writable: true },
      headers: { value: Object.fromEntries(request.headers), writable: true },
    });
  });
  const ready = new Promise<void>((resolve) => server.once("listening", resolve));
  const { hostname: address, port } = ADDRESS;
  Object.defineProperty(server, "address", { value: () => ({ address, port, family: "IPv4" }) });
  const opened = {
    handler: async (request: Request) => {
      await ready;
      const id = crypto.randomUUID();
      requests.set(id, request);
      const headers = new Headers(request.headers);
      headers.set(ID_HEADER, id);
      headers.set("accept-encoding", "identity");
      const { method, body, signal } = request;
      const { pathname, search } = new URL(request.url);
      // A name that NO_PROXY does not exclude.
      return await fetch(`http://function${pathname}${search}`, {
        method,
        headers,
        body,
        signal,
        redirect: "manual",
        client,
      });
    },
  };
  servers.open(opened);
  server.once("close", () => servers.close(opened));
}
