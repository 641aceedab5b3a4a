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

/** The first version of Deno, as major and minor number, that restores the async context of a rejection for its event. */
const FIRST_WITH_CONTEXT = [2, 8] as const;

/** Returns whether a version of Deno does. A version that cannot be read counts as an older one. */
export function restoresContext(version: string): boolean {
  const [major = 0, minor = 0] = version.split(".").map(Number);
  const [firstMajor, firstMinor] = FIRST_WITH_CONTEXT;
  return major > firstMajor || (major === firstMajor && minor >= firstMinor);
}

const isExact = restoresContext(Deno.version.deno);

/**
 * Logs a rejection of a request's code, during the request or later, and lets the isolate live on. On a runtime that
 * does not restore the async context, a rejection is taken for one of the latest request under way while there is any,
 * since those requests are what the runtime would end. A call that came after the end of its request counts at any time.
 */
function onUnhandledRejection(event: PromiseRejectionEvent): void {
  if (event.defaultPrevented) return;
  const token = currentRequest.getStore() ?? (isExact ? undefined : [...underWay].at(-1));
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
