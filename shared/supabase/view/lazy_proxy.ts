/**
 * Objects that are created when they are first used.
 *
 * @module
 */

import type { PendingCall } from "../calls/lease_fetch.ts";

/**
 * Returns a proxy for the object that `create` returns, all of whose functions are
 * asynchronous, those of the objects in it included. The object is created at the
 * first call, and again at the next call if that failed.
 *
 * @param markPending Called at each call, which is sent through what it returns. A call rejects with what it throws.
 */
export function lazyProxy<T extends object>(create: () => Promise<T>, markPending: () => PendingCall): T {
  let created: Promise<T> | undefined;

  async function call(path: readonly string[], args: readonly unknown[]): Promise<unknown> {
    const pending = markPending();
    let outcome: unknown;
    try {
      created ??= create().catch((error) => {
        created = undefined;
        throw error;
      });
      let owner: unknown = undefined;
      let member: unknown = await created;
      for (const name of path) {
        owner = member;
        member = Reflect.get(Object(owner), name);
      }
      if (typeof member !== "function") throw new TypeError(`${path.join(".")} is not a function`);
      const reached = member;
      outcome = pending.send(() => Reflect.apply(reached, owner, args));
    } finally {
      pending.settle();
    }
    return await outcome;
  }

  function at(path: readonly string[]): object {
    return new Proxy(() => {}, {
      // `await` asks for `then`, and must get the proxy itself.
      get: (_target, name) => typeof name === "symbol" || name === "then" ? undefined : at([...path, name]),
      apply: (_target, _self, args) => call(path, args),
    });
  }

  return at([]) as T;
}
