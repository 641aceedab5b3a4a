/**
 * The program that runs the Data API, Auth and Storage in a process. The stack starts it.
 *
 * @module
 */
import { LOOPBACK } from "../ports.ts";
import { sendMessage, takeToken, TOKEN_HEADER } from "../control.ts";
import { errorLine } from "./error_log.ts";
import { Services, type ServicesConfig } from "./services.ts";

/** The environment variable with the {@linkcode ServicesConfig}, as JSON. */
const CONFIG_VARIABLE = "DATA_API_CONFIG";

const log = console.error;
console.error = (...parts: unknown[]) => {
  const error = parts.find((part) => part instanceof Error);
  if (!error) return log(...parts);
  const line = errorLine(error);
  if (line !== undefined) log(line);
};

const token = takeToken();
const config: ServicesConfig = JSON.parse(Deno.env.get(CONFIG_VARIABLE) ?? "");
Deno.env.delete(CONFIG_VARIABLE);
const services = new Services(config);

/** Handles an uncaught error: the driver throws one when a connection breaks during a write; others are logged. */
function recover(event: Event, error: unknown): void {
  event.preventDefault();
  if (!String(error).includes("reading 'write'")) console.error(error);
  services.recover();
}
globalThis.addEventListener("error", (event) => recover(event, event.error ?? event.message));
globalThis.addEventListener("unhandledrejection", (event) => recover(event, event.reason));

Deno.serve({
  hostname: LOOPBACK,
  port: 0,
  onListen: ({ port }) => sendMessage(token, { type: "ready", port }),
  handler: (request) => {
    if (request.headers.get(TOKEN_HEADER) !== token) return new Response(null, { status: 403 });
    return services.fetch(request);
  },
});
