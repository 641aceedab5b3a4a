/**
 * Which request the code that runs belongs to.
 *
 * @module
 */
import { AsyncLocalStorage } from "node:async_hooks";

const requests = new AsyncLocalStorage<object>();

/** Runs `work`, and whatever it begins, as a part of `request`. */
export function runWithin<T>(request: object, work: () => T): T {
  return requests.run(request, work);
}

/** Whether the code that runs belongs to another request than `request`; what belongs to none does not. */
export function isElsewhere(request: object): boolean {
  const here = requests.getStore();
  return here !== undefined && here !== request;
}
