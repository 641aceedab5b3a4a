/**
 * Faults of the cache, each of which a test must catch.
 *
 * @module
 */
import type { Mutation } from "../../support/mutations.ts";

/** The faults, in files of `shared/cache/`. */
export const MUTATIONS: readonly Mutation[] = [
  {
    file: "redis_reads.ts",
    find: "if (text === undefined || this.#options.pending.has(this.#options.names.value(key))) return OUTAGE;",
    replace: "if (text === undefined) return OUTAGE;",
    what: "a value is read although its removal is pending",
  },
  {
    file: "redis_level.ts",
    find: "// The older value must not come back.\n    else await this.remove(values.map(({ key }) => key), message);",
    replace: "",
    what: "a write that failed leaves the older value",
  },
  {
    file: "redis_level.ts",
    find: 'return [["DEL", names.lock(key)], ["SET",',
    replace: 'return [["SET",',
    what: "a write keeps the lock of a load under way",
  },
  {
    file: "redis_level.ts",
    find: 'const commands = keys.map((key): RedisCommand => ["DEL", names.lock(key), names.value(key)]);',
    replace: 'const commands = keys.map((key): RedisCommand => ["DEL", names.value(key)]);',
    what: "a removal keeps the lock of a load under way",
  },
  {
    file: "redis_reads.ts",
    find: "return found.entry.stamps.every(([tag, stamp]) => stamps.get(tag) === stamp) ? found : MISS;",
    replace: "return found;",
    what: "stamps of tags are not compared",
  },
  {
    file: "redis_level.ts",
    find: "if (!isDone(replies)) await this.release(key, token);",
    replace: "",
    what: "a lock stays when its value was not stored",
  },
  {
    file: "pending_invalidations.ts",
    find: "if (this.#all.get(invalidation.name) === invalidation) this.#all.delete(invalidation.name);",
    replace: "",
    what: "an invalidation stays pending for good",
  },
  {
    file: "engine.ts",
    find: "        flight.isInvalid = true;\n",
    replace: "",
    what: "an invalidation does not mark what is under way",
  },
  {
    file: "engine.ts",
    find: "        flights.delete(key);\n",
    replace: "",
    what: "a call after an invalidation joins a load of before",
  },
  {
    file: "engine.ts",
    find: "    this.#drops++;\n    this.#memory?.clear();",
    replace: "    this.#drops++;",
    what: "the memory is kept when invalidations may have been lost",
  },
  {
    file: "engine.ts",
    find: "this.redis && this.#memory",
    replace: "false",
    what: "memorySeconds does not bound a value in memory",
  },
  {
    file: "engine.ts",
    find: "    for (const tag of tags) this.#memory?.deleteTag(tag);\n",
    replace: "",
    what: "a tag is not invalidated in memory",
  },
  {
    file: "engine.ts",
    find: "    this.invalidate(message.keys);\n",
    replace: "",
    what: "invalidations of others are ignored",
  },
  {
    file: "redis_level.ts",
    find: "if (!replies) this.#releaseLater(key, token);\n    const reply",
    replace: "const reply",
    what: "a lock that was taken after its caller gave up holds up others",
  },
  {
    file: "redis_level.ts",
    find: "this.#releases.add(name,",
    replace: "this.#pending.add(name,",
    what: "a lock displaces an invalidation",
  },
  {
    file: "pending_invalidations.ts",
    find: "if (!await this.send()) this.resendLater();",
    replace: "await this.send();",
    what: "an invalidation that was rejected twice is not sent again",
  },
  {
    file: "layered_cache.ts",
    find: "    this.#parts.bus.close();\n",
    replace: "",
    what: "a closed cache receives messages",
  },
  {
    file: "loads.ts",
    find: "let flight = this.#flights.get(key); flight;",
    replace: "let flight = this.#flights.get(key); flight && outer;",
    what: "every call loads for itself",
  },
  {
    file: "loads.ts",
    find: "    if (outer) this.#checkCycle(key, outer);\n",
    replace: "",
    what: "a loader waits for its own load",
  },
  {
    file: "loads.ts",
    find: "    if (waiting && waitsFor(flight, waiting)) throw new CacheLoadCycleError(shownKey(flight.key));\n",
    replace: "",
    what: "loads that began apart wait for each other",
  },
  {
    file: "loads.ts",
    find: "if (!isOfEndedRequest(error) && ",
    replace: "if (",
    what: "the end of a request fails the calls of others",
  },
  {
    file: "loads.ts",
    find: "      mark.flight = undefined;\n",
    replace: "",
    what: "what a loader has started is part of its load for ever",
  },
  {
    file: "loads.ts",
    find: "return await Promise.race([loading, promise]);",
    replace: "return await loading;",
    what: "a loader that never settles holds up its key",
  },
  {
    file: "loads.ts",
    find: "    if (this.#refreshes.has(key)) return;\n",
    replace: "",
    what: "every stale hit begins a background load",
  },
  {
    file: "loads.ts",
    find: "now >= latest.graceUntil) throw error;",
    replace: "now < 0) throw error;",
    what: "grace never ends",
  },
  {
    file: "loads.ts",
    find: "if (redis && token !== undefined) await redis.release(key, token);\n      const now",
    replace: "const now",
    what: "a failed load keeps its lock",
  },
  {
    file: "loads.ts",
    find: "const stopRenewing = turns && token !== undefined ? turns.keep(key, token) : undefined;",
    replace: "const stopRenewing: (() => void) | undefined = undefined as (() => void) | undefined;",
    what: "the lock of a long load is not renewed",
  },
  {
    file: "load_turns.ts",
    find: "if (clock.now() >= end) {",
    replace: "if (clock.now() < 0) {",
    what: "the wait for another isolate has no end",
  },
  {
    file: "loads.ts",
    find: "value === null || value === undefined ? negativeMs : ttlMs",
    replace: "ttlMs",
    what: "absent values live as long as others",
  },
  {
    file: "loader_scope.ts",
    find: "  if (load.violation) throw load.violation;\n",
    replace: "",
    what: "a violation that the loader ignores does not count",
  },
  {
    file: "loader_scope.ts",
    find: "withoutContext(() => current.run(load, async () => await loader()))",
    replace: "current.run(load, async () => await loader())",
    what: "a shared loader runs in the context of the request that is first",
  },
  {
    file: "layered_cache.ts",
    find: "      guard: checkOutsideSharedLoader,\n",
    replace: "      guard: undefined,\n",
    what: "a shared loader reads the cache of a caller",
  },
  {
    file: "keys.ts",
    find: "return key.charCodeAt(0) === TILDE ? `~s:${key}` : key;",
    replace: "return key;",
    what: "a shared key reaches the prefix of a caller",
  },
  {
    file: "keys.ts",
    find: "if (!key.isWellFormed()) {",
    replace: "if (key.length < 0) {",
    what: "ill-formed keys are accepted",
  },
  {
    file: "identity.ts",
    find: "return { members: members.map(([key, member]) => [key, ordered(member)]) };",
    replace: "return members.map(([key, member]) => [key, ordered(member)]);",
    what: "an object of claims equals an array of pairs",
  },
  {
    file: "value.ts",
    find: 'if (key === "__proto__") throw new ForeignValueError("a member __proto__");',
    replace: "",
    what: "a foreign __proto__ is accepted",
  },
  {
    file: "value.ts",
    find: "    return Object.freeze(copy);\n  }\n\n  #member",
    replace: "    return copy;\n  }\n\n  #member",
    what: "objects are not frozen",
  },
  {
    file: "memory_level.ts",
    find: "return isCopied ? copyValue(value) : value;",
    replace: "return value;",
    what: "readers share a Date",
  },
];
