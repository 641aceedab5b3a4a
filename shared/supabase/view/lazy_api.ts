/**
 * Objects that are made when something is first asked of them.
 *
 * @module
 */

/**
 * Stands in for what `make` makes, an object all of whose functions are
 * asynchronous, those of the objects in it included. It is made at the first
 * call, and again at the next one where that failed.
 *
 * @param prepare Told of each call when it is made; what it returns is called once the call has reached the object, or
 * has failed to. What it throws the call rejects with.
 */
export function lazyApi<T extends object>(make: () => Promise<T>, prepare: () => () => void): T {
  let made: Promise<T> | undefined;

  async function call(path: readonly string[], args: readonly unknown[]): Promise<unknown> {
    const prepared = prepare();
    let outcome: unknown;
    try {
      made ??= make().catch((error) => {
        made = undefined;
        throw error;
      });
      let owner: unknown = undefined;
      let member: unknown = await made;
      for (const name of path) {
        owner = member;
        member = Reflect.get(Object(owner), name);
      }
      if (typeof member !== "function") throw new TypeError(`${path.join(".")} is not a function`);
      outcome = Reflect.apply(member, owner, args);
    } finally {
      prepared();
    }
    return await outcome;
  }

  function at(path: readonly string[]): object {
    return new Proxy(() => {}, {
      // Whoever awaits it asks for `then`, and is to get it as it is.
      get: (_target, name) => typeof name === "symbol" || name === "then" ? undefined : at([...path, name]),
      apply: (_target, _self, args) => call(path, args),
    });
  }

  return at([]) as T;
}
