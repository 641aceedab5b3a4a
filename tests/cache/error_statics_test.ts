import { assertEquals } from "@std/assert";
import * as exported from "../../shared/cache/mod.ts";
import { testErrorStatics } from "../support/error_statics.ts";

testErrorStatics("shared/cache", exported, {
  CacheClosedError: ["CACHE_CLOSED", "permanent", 503],
  CacheConfigError: ["CACHE_CONFIG_INVALID", "permanent", 500],
  CacheError: ["undefined", "undefined", NaN],
  CacheKeyError: ["CACHE_KEY_INVALID", "permanent", 500],
  CacheLoadCycleError: ["CACHE_LOAD_CYCLE", "permanent", 500],
  CacheLoadTimeoutError: ["CACHE_LOAD_TIMEOUT", "ambiguous", 504],
  CacheUnavailableError: ["CACHE_UNAVAILABLE", "transient", 503],
  CacheValueError: ["CACHE_VALUE_INVALID", "permanent", 500],
  RedisReplyError: ["REDIS_REJECTED", "permanent", 500],
  SharedLoaderError: ["CACHE_SHARED_LOADER", "permanent", 500],
});

Deno.test("each error of the cache has the name, the code and the response of its class", () => {
  const { CacheClosedError, CacheLoadCycleError, CacheLoadTimeoutError, SharedLoaderError } = exported;
  const errors = [
    new CacheClosedError(),
    new exported.CacheConfigError("a"),
    new exported.CacheKeyError("a"),
    new CacheLoadCycleError("a"),
    new CacheLoadTimeoutError("a", 1),
    new exported.CacheUnavailableError("a"),
    new exported.CacheValueError("a", "$", "b"),
    new exported.RedisReplyError("a"),
    new SharedLoaderError(),
  ];
  for (const error of errors) {
    const { code, retry, http, name } = error.constructor as typeof CacheClosedError;
    assertEquals([error.name, error.code, error.retry, error.http], [name, code, retry, http]);
  }
});
