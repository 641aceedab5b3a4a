import { assert, assertEquals, assertStrictEquals } from "@std/assert";
import { type Prepared, StatementCache } from "../../../shared/postgres/wire/statement_cache.ts";

const NONE: ReadonlySet<Prepared> = new Set();

/** Creates a cache that keeps some statements, and a function that adds one which the server has run. */
function caching(maxStatements = 2, maxInFlight = 8) {
  const cache = new StatementCache();
  cache.enable(maxStatements, maxInFlight);
  const add = (text: string, key = "") => {
    const prepared = cache.add(key, text, NONE);
    assert(prepared);
    prepared.parsed = true;
    cache.markPrepared(prepared);
    return prepared;
  };
  return { cache, add };
}

Deno.test("StatementCache.accepts() is false until it is enabled, and for long texts", () => {
  assertEquals(new StatementCache().accepts("SELECT 1"), false);
  const { cache } = caching();
  assertEquals([cache.accepts("x".repeat(10_000)), cache.accepts("x".repeat(10_001))], [true, false]);
});

Deno.test("StatementCache.find() finds a statement by its key and text, however many were used since", () => {
  const { cache, add } = caching(3);
  const [a, b, other] = [add("SELECT 1"), add("SELECT 2"), add("SELECT 1", "other")];
  assertStrictEquals(cache.find("", "SELECT 1"), a);
  assertStrictEquals(cache.find("", "SELECT 1"), a);
  assertStrictEquals(cache.find("", "SELECT 2"), b);
  assertStrictEquals(cache.find("other", "SELECT 1"), other);
  assertEquals([cache.find("other", "SELECT 2"), cache.find("none", "SELECT 1")], [undefined, undefined]);
  assertEquals([a.name, b.name, other.name], ["s0", "s1", "s2"]);
});

Deno.test("StatementCache.add() evicts the least recently used statement that the server has run and no batch uses", () => {
  const { cache, add } = caching();
  const [a, b] = [add("SELECT 1"), add("SELECT 2")];
  cache.find("", "SELECT 1");
  const c = add("SELECT 3");
  assertEquals([cache.find("", "SELECT 2"), cache.find("", "SELECT 1")], [undefined, a]);
  assertEquals(cache.drainToClose(), [b.name]);
  assertEquals(cache.hasToClose, false);
  assertEquals(cache.add("", "SELECT 4", new Set([a, c])), undefined);
  a.parsed = false;
  c.parsed = false;
  assertEquals(cache.add("", "SELECT 4", NONE), undefined);
  assertStrictEquals(cache.find("", "SELECT 3"), c);
});

Deno.test("StatementCache.add() bounds the characters of all texts", () => {
  const { cache, add } = caching(1_000);
  const texts = Array.from({ length: 100 }, (_, n) => String(n).padEnd(10_000, "x"));
  for (const text of texts) add(text);
  assert(cache.find("", texts[0] ?? ""));
  add("y");
  // The first was used again, the second was the least recently used.
  assertEquals([cache.find("", texts[0] ?? "") !== undefined, cache.find("", texts[1] ?? "")], [true, undefined]);
});

Deno.test("StatementCache.forget() closes once what the server keeps, and StatementCache.kept counts it", () => {
  const { cache, add } = caching();
  const a = add("SELECT 1");
  const unrun = cache.add("", "SELECT 2", NONE);
  assert(unrun);
  assertEquals(cache.kept, 1);
  cache.forget(a);
  cache.forget(a);
  cache.forget(unrun);
  assertEquals(cache.drainToClose(), [a.name]);
  assertEquals([cache.find("", "SELECT 1"), cache.find("", "SELECT 2")], [undefined, undefined]);
  cache.closeLater([a.name]);
  assertEquals([cache.hasToClose, cache.kept], [true, 1]);
  cache.markClosed(1);
  assertEquals(cache.kept, 0);
});

Deno.test("StatementCache.clearUnless() forgets all statements of another version", () => {
  const { cache, add } = caching();
  cache.clearUnless(0);
  const [a, b] = [add("SELECT 1"), add("SELECT 2")];
  cache.clearUnless(0);
  assertStrictEquals(cache.find("", "SELECT 2"), b);
  cache.clearUnless(1);
  assertEquals([cache.find("", "SELECT 1"), cache.find("", "SELECT 2")], [undefined, undefined]);
  assertEquals(cache.drainToClose(), [a.name, b.name]);
  const c = add("SELECT 3");
  cache.clearUnless(1);
  assertStrictEquals(cache.find("", "SELECT 3"), c);
});

Deno.test("StatementCache.maxInFlight() is 1 for what is unknown or writes, and falls with the duration of reads", () => {
  const { cache, add } = caching(4);
  const [quick, slow, write] = [add("SELECT 1"), add("SELECT 2"), add("DELETE FROM a")];
  const inFlight = () =>
    ["SELECT 1", "SELECT 2", "DELETE FROM a", "SELECT 9"].map((text) => cache.maxInFlight("", text));
  assertEquals(inFlight(), [1, 1, 1, 1]);
  cache.recordDuration(quick, 2, false);
  cache.recordDuration(slow, 12, false);
  cache.recordDuration(write, 2, false);
  // 50 ms of work ahead: ten milliseconds each, behind a round trip of two.
  assertEquals(inFlight(), [8, 5, 1, 1]);
  cache.recordDuration(slow, 112, false);
  assertEquals([slow.tookMs, cache.maxInFlight("", "SELECT 2")], [22, 2]);
  for (let n = 0; n < 100; n++) cache.recordDuration(slow, 500, false);
  assertEquals(cache.maxInFlight("", "SELECT 2"), 1);
});

Deno.test("StatementCache.maxPerWrite() is 1 for what is unknown or takes the server over 0.5 ms, and 5 for the quickest", () => {
  const { cache, add } = caching(4);
  cache.enable(4, 16);
  const [quick, slow] = [add("SELECT 1"), add("SELECT 2")];
  const perWrite = () => [cache.maxPerWrite("", "SELECT 1"), cache.maxPerWrite("", "SELECT 2")];
  assertEquals([...perWrite(), cache.maxPerWrite("", "SELECT 9")], [1, 1, 1]);
  // The round trip takes ten milliseconds, which a statement behind others does not wait for.
  cache.recordDuration(quick, 10, false);
  cache.recordDuration(slow, 10.5, false);
  assertEquals(perWrite(), [5, 2]);
  cache.recordDuration(quick, 0.125, true);
  cache.recordDuration(slow, 1.5, true);
  assertEquals([...perWrite(), slow.busyMs], [5, 1, 0.6]);
  cache.enable(4, 3);
  assertEquals(perWrite(), [3, 1]);
});

Deno.test("StatementCache.maxPerWrite() does not take the first statement of a connection for the round trip", () => {
  const { cache, add } = caching(4);
  cache.enable(4, 16, 5);
  cache.recordDuration(add("SELECT 1"), 40, false);
  assertEquals(cache.maxPerWrite("", "SELECT 1"), 1);
});
