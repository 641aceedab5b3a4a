/**
 * Which request the code that runs belongs to.
 *
 * @module
 */
import { AsyncLocalStorage } from "node:async_hooks";

/**
 * Stands for a request. It holds nothing: the runtime keeps what it is told here
 * for as long as a promise or a timer of the request's is kept, which is until
 * the next full collection for each answer of `fetch`.
 */
export type RequestMark = Readonly<Record<never, never>>;

const requests = new AsyncLocalStorage<RequestMark>();

/** Runs `work`, and whatever it begins, as a part of the request that `mark` stands for. */
export function runWithin<T>(mark: RequestMark, work: () => T): T {
  return requests.run(mark, work);
}

/** Whether the code that runs belongs to another request than that of `mark`; what belongs to none does not. */
export function isElsewhere(mark: RequestMark): boolean {
  const here = requests.getStore();
  return here !== undefined && here !== mark;
}
