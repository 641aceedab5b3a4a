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

/** False on Node, whose versions differ. */
const isExact = typeof Deno !== "undefined" && restoresContext(Deno.version.deno);

/**
 * Logs a rejection of a request's code, during the request or later, and returns true: the isolate lives on. On a
 * runtime that does not restore the async context, a rejection is taken for one of the latest request under way while
 * there is any, since those requests are what the runtime would end. A call that came after the end of its request
 * counts at any time.
 */
function contain(reason: unknown): boolean {
  const token = currentRequest.getStore() ?? (isExact ? undefined : [...underWay].at(-1));
  const onUnhandled = token ? token.onUnhandled : reason instanceof LeaseReleasedError ? latest : undefined;
  onUnhandled?.(reason);
  return onUnhandled !== undefined;
}

function onUnhandledRejection(event: PromiseRejectionEvent): void {
  if (!event.defaultPrevented && contain(event.reason)) event.preventDefault();
}

/** The part of Node's `process` that is used here. */
interface NodeProcess {
  on(event: "unhandledRejection", listener: (reason: unknown) => void): void;
  listenerCount(event: "unhandledRejection"): number;
}

/** As {@linkcode onUnhandledRejection}. Node ends the process for a rejection that no listener takes. */
function containOnNode(process: NodeProcess): void {
  process.on("unhandledRejection", (reason) => {
    if (!contain(reason) && process.listenerCount("unhandledRejection") === 1) throw reason;
  });
}

/** Starts to contain the rejections of requests whose tokens have an `onUnhandled`, such as this one. Idempotent. */
export function containRejections(onUnhandled: RequestToken["onUnhandled"]): void {
  latest = onUnhandled;
  if (isListening) return;
  isListening = true;
  if ("addEventListener" in globalThis) return globalThis.addEventListener("unhandledrejection", onUnhandledRejection);
  const { process }: { readonly process?: NodeProcess } = globalThis;
  if (process) containOnNode(process);
}
