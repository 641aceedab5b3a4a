/** The end of what a request does on the Postgres connections, without a server. */
import { assert, assertEquals, assertStrictEquals, assertThrows } from "@std/assert";
import { PostgresUse } from "../../shared/http/request/postgres_use.ts";
import { LeaseReleasedError } from "../../shared/pool/mod.ts";

/** A lease that counts its releases. */
function lease() {
  return {
    active: true,
    released: 0,
    [Symbol.dispose]() {
      this.released++;
      this.active = false;
    },
  };
}

Deno.test("PostgresUse.end() ends leases that were not released, refuses further work, and logs what is refused", () => {
  const refused: unknown[] = [];
  const use = new PostgresUse({ onRefused: (reason) => refused.push(reason) });
  const [kept, released] = [lease(), lease()];
  use.leased(kept);
  use.leased(released);
  released[Symbol.dispose]();
  assertEquals(use.end(), { unreleased: 1, drained: undefined });
  assertEquals([kept.released, released.released], [1, 1]);
  const error = assertThrows(() => use.begin(), LeaseReleasedError, "Cannot use ctx.postgres");
  assertEquals(refused, [error]);
  // One that was waited for meanwhile.
  const late = lease();
  assertThrows(() => use.leased(late), LeaseReleasedError);
  assertEquals([late.released, use.end().unreleased], [1, 0]);
});

Deno.test("PostgresUse.end() resolves once what runs has settled", async () => {
  const use = new PostgresUse({});
  const [one, two] = [use.begin(), use.begin()];
  const { drained } = use.end();
  assert(drained);
  one[Symbol.dispose]();
  assertEquals(await Promise.race([drained.then(() => "drained"), Promise.resolve("runs")]), "runs");
  two[Symbol.dispose]();
  await drained;
});

Deno.test("PostgresUse.end() with a reason refuses with it, also before the end of the request", () => {
  const reason = new Error("left");
  const use = new PostgresUse({});
  use.end({ reason });
  use.end();
  assertStrictEquals(assertThrows(() => use.begin()), reason);
});

Deno.test("PostgresUse keeps no lease that was released, and those that were not in any number", () => {
  const use = new PostgresUse({});
  const held = Array.from({ length: 40 }, lease);
  for (const each of held) {
    use.leased(each);
    const released = lease();
    use.leased(released);
    released[Symbol.dispose]();
  }
  assertEquals(use.end().unreleased, 40);
  assert(held.every(({ released }) => released === 1));
});

Deno.test("PostgresUse.begin() rejects another request", () => {
  const use = new PostgresUse({
    guard: () => {
      throw new RangeError("another request");
    },
  });
  assertThrows(() => use.begin(), RangeError);
  assertEquals(use.end().drained, undefined);
});
