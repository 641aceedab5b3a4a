/**
 * How long a request waits for what others do.
 *
 * @module
 */
import type { Deadline } from "./deadline.ts";

/** Waits for `work`, which goes on when it is not waited for any more; then it rejects. */
export type Patience = <T>(work: Promise<T>) => Promise<T>;

/** Waits for as long as it takes. */
export function waitEndlessly<T>(work: Promise<T>): Promise<T> {
  return work;
}

/** The caller went away: nobody hears of an answer. */
export class CallerLeftError extends Error {
  override readonly name = "CallerLeftError";
}

/**
 * The patience of one request: until its deadline, and for as long as its caller is there.
 *
 * @throws {DeadlineExceededError} from each wait that lasts until the deadline.
 * @throws {CallerLeftError} from each wait that the caller leaves.
 */
export function patienceOf(request: Request, deadline: Deadline): Patience {
  return async (work) => {
    const { signal } = request;
    const left = Promise.withResolvers<never>();
    const leave = () => left.reject(new CallerLeftError("The caller went away"));
    signal.addEventListener("abort", leave, { once: true });
    if (signal.aborted) leave();
    try {
      return await deadline.race(Promise.race([work, left.promise]), () => {});
    } finally {
      signal.removeEventListener("abort", leave);
    }
  };
}
