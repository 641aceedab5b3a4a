/**
 * The program that runs a function in a process of its own: loads it, provides
 * what the hosted runtime provides, serves it and retires it. The stack starts it.
 *
 * @module
 */
import { hideRuntimeEnvironment, sendMessage, takeToken, TOKEN_HEADER } from "../control.ts";
import {
  COMMAND_HEADER,
  ENTRYPOINT_VARIABLE,
  REFUSAL,
  RETIRE,
  SOCKET_VARIABLE,
  UNLOAD,
  UPGRADE_HEADER,
  VISIBLE_VARIABLE,
} from "./protocol.ts";
import { describeLoadError } from "./runtime/errors.ts";
import { Background, dispatchBeforeUnload, installGlobals, type UnloadReason } from "./runtime/globals.ts";
import { installNodeServers } from "./runtime/node_servers.ts";
import { installUpgrade, privateResponse, publicRequest, Refusals } from "./runtime/requests.ts";
import { ADDRESS, type Handler, Servers } from "./runtime/servers.ts";

const RETIRE_MS = 2_000;
/** Time for the rest of a module after it has opened a server. `await serve(…)` of std never returns. */
const REST_MS = 100;
/** Time until a module that has been loaded opens a server. */
const OPEN_MS = 3_000;

const token = takeToken();
const entrypoint = Deno.env.get(ENTRYPOINT_VARIABLE) ?? "";
hideRuntimeEnvironment(new Set((Deno.env.get(VISIBLE_VARIABLE) ?? "").split(",")));
const socket = Deno.env.get(SOCKET_VARIABLE) ?? "";
for (const name of [ENTRYPOINT_VARIABLE, VISIBLE_VARIABLE, SOCKET_VARIABLE]) Deno.env.delete(name);

const { serve: listen, exit } = Deno;
const background = new Background();
const servers = new Servers();
const refusals = new Refusals();
installGlobals(background, (code) => sendMessage(token, { type: "exit", code }));
servers.install();
installUpgrade();

/** Responds as the hosted runtime does: an error is logged, and its response has no details. */
async function respond(visible: Request): Promise<Response> {
  const server = servers.current;
  if (!server) throw new Error("The function has closed its server");
  let response: unknown;
  try {
    response = await server.handler(visible, { remoteAddr: ADDRESS, completed: Promise.resolve() });
  } catch (error) {
    try {
      if (!server.onError) throw error;
      response = await server.onError(error);
    } catch (error) {
      console.error(error);
      return new Response("Internal Server Error", { status: 500 });
    }
  }
  if (response instanceof Response) return response;
  console.error(`TypeError: The handler must return a Response, but returned ${typeof response}`);
  return new Response("Bad Gateway", { status: 502 });
}

async function handle(request: Request): Promise<Response> {
  const upgrade = request.headers.get(UPGRADE_HEADER);
  const reason = new URL(request.url).pathname.slice(1) as UnloadReason;
  switch (request.headers.get(COMMAND_HEADER)) {
    case RETIRE:
      dispatchBeforeUnload(reason);
      await background.settle(RETIRE_MS);
      return new Response(null, { status: 204 });
    case UNLOAD:
      dispatchBeforeUnload(reason);
      return new Response(null, { status: 204 });
    case REFUSAL:
      return refusals.take(upgrade ?? "") ?? new Response(null, { status: 404 });
  }
  const response = await respond(publicRequest(request));
  if (upgrade === null) return privateResponse(response);
  return response.status === 101 ? response : refusals.add(upgrade, privateResponse(response));
}

function start(): void {
  listen({
    hostname: "127.0.0.1",
    port: 0,
    // A body passes as the function has created it.
    automaticCompression: false,
    onListen: ({ port }) => sendMessage(token, { type: "ready", port, pid: Deno.pid }),
    onError: (error) => {
      console.error(error);
      return new Response("Internal Server Error", { status: 500 });
    },
    handler: (request) =>
      request.headers.get(TOKEN_HEADER) === token ? handle(request) : new Response(null, { status: 403 }),
  });
}

function fail(error: string): never {
  sendMessage(token, { type: "failed", error });
  return exit(1);
}

function delay(ms: number): Promise<void> {
  return new Promise((resolve) => setTimeout(resolve, ms));
}

/** Returns the handler of `export default { fetch }`; `undefined` for another default export. */
function declaredHandler(module: unknown): Handler | undefined {
  if (typeof module !== "object" || module === null || !("fetch" in module)) return undefined;
  const { fetch } = module;
  if (typeof fetch !== "function") throw new TypeError("The fetch of the default export must be a function");
  return (request) => fetch.call(module, request);
}

try {
  await installNodeServers(servers, entrypoint, socket);
  const loaded = import(entrypoint).then(({ default: module }: { default?: unknown }) => {
    const handler = declaredHandler(module);
    if (handler) servers.open({ handler });
  });
  await Promise.race([loaded, servers.opened.then(() => delay(REST_MS))]);
  // Later errors of the module end the process, as any uncaught error.
  loaded.catch((error) => queueMicrotask(() => Promise.reject(error)));
  await Promise.race([servers.opened, delay(OPEN_MS)]);
} catch (error) {
  console.error(error);
  fail(describeLoadError(error));
}
if (servers.current) start();
else fail("The module neither calls Deno.serve nor exports default { fetch }");
