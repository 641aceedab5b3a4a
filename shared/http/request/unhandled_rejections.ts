/**
 * Rejections that no code handles. The runtime ends the isolate for one, and with it every other request in it.
 *
 * @module
 */
import { LeaseReleasedError } from "../../pool/mod.ts";
import { currentRequest, type RequestToken } from "./current_request.ts";

/** The tokens of the requests under way, the latest last. */
export const underWay: Set<RequestToken> = new Set();

let isListening = false;
let latest: RequestToken["onUnhandled"] = undefined;

/**
 * Logs a rejection of a request's code, during the request or later, and lets the isolate live on. Older runtimes do not
 * tell the async context of a rejection. There it is taken for one of a request while any is under way, since those
 * are what the runtime would end; so is a call that came after the end of its request, at any time.
 */
function onUnhandledRejection(event: PromiseRejectionEvent): void {
  if (event.defaultPrevented) return;
  const token = currentRequest.getStore() ?? [...underWay].at(-1);
  const onUnhandled = token ? token.onUnhandled : event.reason instanceof LeaseReleasedError ? latest : undefined;
  if (!onUnhandled) return;
  event.preventDefault();
  onUnhandled(event.reason);
}

/** Starts to contain the rejections of requests whose tokens have an `onUnhandled`, such as this one. Idempotent. */
export function containRejections(onUnhandled: RequestToken["onUnhandled"]): void {
  latest = onUnhandled;
  if (isListening) return;
  isListening = true;
  globalThis.addEventListener("unhandledrejection", onUnhandledRejection);
}
