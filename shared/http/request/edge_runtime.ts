/**
 * `EdgeRuntime` of the runtime that Supabase's functions are hosted on.
 *
 * @module
 */
import { memberOf } from "../../resilience/mod.ts";
import { currentRequest } from "./current_request.ts";

/** The function that keeps the isolate until a promise has settled. */
type WaitUntil = (promise: PromiseLike<unknown>, ...rest: unknown[]) => unknown;

const NAME = "EdgeRuntime";

/** The runtime whose `waitUntil` was wrapped last. */
let wrapped: unknown = undefined;
/** True while this module itself calls `waitUntil`. */
let passing = false;

function runtimeOf(): unknown {
  return memberOf(globalThis, NAME);
}

function waitUntilOf(runtime: unknown): WaitUntil | undefined {
  const waitUntil = memberOf(runtime, "waitUntil");
  return typeof waitUntil === "function" ? waitUntil as WaitUntil : undefined;
}

/** Sets the `waitUntil` of the global `EdgeRuntime`; where that object is frozen, of an object that inherits from it. */
function replace(runtime: object, waitUntil: WaitUntil): void {
  const value = { configurable: true, enumerable: true, writable: true, value: waitUntil };
  if (Reflect.defineProperty(runtime, "waitUntil", value) && waitUntilOf(runtimeOf()) === waitUntil) return;
  const derived: unknown = Object.create(runtime, { waitUntil: value });
  Reflect.defineProperty(globalThis, NAME, { configurable: true, enumerable: true, writable: true, value: derived });
}

/**
 * Lets work that is given to `EdgeRuntime.waitUntil` during a request join that request, as work given to
 * `ctx.waitUntil` does. Work given outside of any request passes through unchanged. Does nothing where there is no
 * `EdgeRuntime`, where it was done before, and where the runtime does not allow it.
 */
export function joinEdgeRuntime(): void {
  const runtime = runtimeOf();
  if (runtime === wrapped) return;
  const original = waitUntilOf(runtime);
  if (original === undefined || typeof runtime !== "object" || runtime === null) {
    wrapped = runtime;
    return;
  }
  replace(runtime, (promise, ...rest) => {
    if (!passing) currentRequest.getStore()?.request?.join(promise);
    return Reflect.apply(original, runtime, [promise, ...rest]);
  });
  wrapped = runtimeOf();
}

/** Asks the runtime to keep the isolate until `promise`, which never rejects, has settled. */
export function keepIsolateUntil(promise: Promise<void>): void {
  const runtime = runtimeOf();
  passing = true;
  try {
    waitUntilOf(runtime)?.call(runtime, promise);
  } finally {
    passing = false;
  }
}
