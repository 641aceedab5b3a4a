/**
 * The program that runs a function in a process of its own: loads it, provides
 * what the hosted runtime provides, serves it and retires it. The stack starts it.
 *
 * @module
 */
import { hideRuntimeEnvironment, sendMessage, takeToken, TOKEN_HEADER } from "../control.ts";
import { COMMAND_HEADER, ENTRYPOINT_VARIABLE, ORIGIN_HEADER, RETIRE, VISIBLE_VARIABLE } from "./protocol.ts";

const RETIRE_MS = 2_000;

/** The default export of a function's module. */
interface FunctionModule {
  readonly fetch: (request: Request) => Response | Promise<Response>;
}

function isFunctionModule(value: unknown): value is FunctionModule {
  return typeof value === "object" && value !== null && "fetch" in value && typeof value.fetch === "function";
}

const token = takeToken();
const entrypoint = Deno.env.get(ENTRYPOINT_VARIABLE) ?? "";
hideRuntimeEnvironment(new Set((Deno.env.get(VISIBLE_VARIABLE) ?? "").split(",")));
Deno.env.delete(ENTRYPOINT_VARIABLE);
Deno.env.delete(VISIBLE_VARIABLE);

const background = new Set<Promise<unknown>>();
Object.assign(globalThis, {
  EdgeRuntime: {
    /** Lets `promise` settle after the response has been sent. */
    waitUntil<T>(promise: Promise<T>): Promise<T> {
      const settled: Promise<unknown> = Promise.resolve(promise).catch(() => {}).finally(() =>
        background.delete(settled)
      );
      background.add(settled);
      return promise;
    },
  },
});

/** Dispatches `beforeunload` and waits for background work. */
async function retire(): Promise<void> {
  globalThis.dispatchEvent(new CustomEvent("beforeunload", { detail: { reason: "termination" } }));
  const deadline = Date.now() + RETIRE_MS;
  // Background work may start more background work.
  while (background.size > 0 && Date.now() < deadline) {
    await Promise.race([Promise.all(background), new Promise((resolve) => setTimeout(resolve, deadline - Date.now()))]);
  }
}

/** Returns the request as the function sees it: with its public URL, without the headers of the stack. */
function publicRequest(request: Request): Request {
  const headers = new Headers(request.headers);
  const origin = headers.get(ORIGIN_HEADER) ?? "";
  for (const name of [TOKEN_HEADER, COMMAND_HEADER, ORIGIN_HEADER]) headers.delete(name);
  const { pathname, search } = new URL(request.url);
  return new Request(`${origin}${pathname}${search}`, {
    method: request.method,
    headers,
    body: request.body,
    signal: request.signal,
    redirect: "manual",
  });
}

function serve(module: FunctionModule): void {
  Deno.serve({
    hostname: "127.0.0.1",
    port: 0,
    onListen: ({ port }) => sendMessage(token, { type: "ready", port }),
    onError: (error) => {
      // The hosted runtime logs the error and responds 500 without it.
      console.error(error);
      return Response.json({ code: "InternalServerError", message: "The function failed: see its log." }, {
        status: 500,
      });
    },
    handler: async (request) => {
      if (request.headers.get(TOKEN_HEADER) !== token) return new Response(null, { status: 403 });
      if (request.headers.get(COMMAND_HEADER) === RETIRE) {
        await retire();
        return new Response(null, { status: 204 });
      }
      return await module.fetch(publicRequest(request));
    },
  });
}

try {
  const { default: module }: { default?: unknown } = await import(entrypoint);
  if (isFunctionModule(module)) serve(module);
  else {
    sendMessage(token, { type: "failed", error: "The module must export default { fetch }" });
    Deno.exit(1);
  }
} catch (error) {
  console.error(error);
  sendMessage(token, {
    type: "failed",
    error: error instanceof Error ? `${error.name}: ${error.message}` : String(error),
  });
  Deno.exit(1);
}
