/**
 * The mark of a shared loader: in it, nothing may act for a signed-in caller.
 *
 * @module
 */
import { AsyncLocalStorage } from "node:async_hooks";
import { installCallerCheck, withoutContext } from "../resilience/mod.ts";
import { SharedLoaderError } from "./errors.ts";

/** One run of a shared loader. It holds nothing of the request that began it. */
interface SharedLoad {
  /** The first use of a caller's scope: supabase-js returns errors as values, which a loader may ignore. */
  violation: SharedLoaderError | undefined;
}

const current = new AsyncLocalStorage<SharedLoad | undefined>();

/**
 * Throws if it is called in a shared loader.
 *
 * @throws {SharedLoaderError} in a shared loader, whose load then fails as well.
 */
export function checkOutsideSharedLoader(): void {
  const load = current.getStore();
  if (load === undefined) return;
  load.violation ??= new SharedLoaderError();
  throw load.violation;
}

/**
 * Runs a loader whose value is for every caller, outside of the async context of the caller that happens to be first.
 *
 * @throws {SharedLoaderError} if it used a caller's scope, whatever it returned.
 */
export async function runSharedLoader<T>(loader: () => PromiseLike<T> | T): Promise<T> {
  // Once installed, the check costs each call that is made for a caller one look-up: benchmarks have it.
  installCallerCheck(checkOutsideSharedLoader);
  const load: SharedLoad = { violation: undefined };
  // It joins no transaction and no request, also where a request was the first to load this module.
  const value = await withoutContext(() => current.run(load, async () => await loader()));
  if (load.violation) throw load.violation;
  return value;
}
