/**
 * A few callers on a few clients, in generated orders: the scheduler of the test
 * chooses which caller continues and which response arrives first. Unlike those of
 * `load_test.ts`, a failure here is reproducible and shrunk.
 *
 * @module
 */
import { assert, assertEquals, assertGreater } from "@std/assert";
import fc from "fast-check";
import { LeaseReleasedError } from "../../shared/pool/mod.ts";
import { SupabaseConnectionPool } from "../../shared/supabase/mod.ts";
import { userToken } from "../support/fake_project.ts";
import { PROJECT, PUBLISHABLE } from "./callers.ts";
import { ask, type Client, type Database } from "./handler_behaviors.ts";
import { seedOfRun } from "./random.ts";

const USERS = ["alice", "bob", "carol"] as const;
type User = typeof USERS[number];
const tokens: Readonly<Record<User, string>> = {
  alice: userToken("alice"),
  bob: userToken("bob"),
  carol: userToken("carol"),
};

/** One step of a holder: uses its own client, or something that any holder kept. */
const step = fc.oneof(
  { weight: 3, arbitrary: fc.constant("query" as const) },
  fc.constantFrom("pause", "build", "keep", "mark", "token"),
  fc.record({ late: fc.nat(20) }),
);
const holder = fc.record({
  user: fc.constantFrom(...USERS),
  how: fc.constantFrom("lease", "client", "scope"),
  steps: fc.array(step, { maxLength: 7 }),
  /** `true` if it releases its client while calls are in flight. */
  abrupt: fc.boolean(),
});
type Holder = typeof holder extends fc.Arbitrary<infer T> ? T : never;

/** A client, and the function that releases it. */
interface Held {
  readonly client: Client;
  readonly release: () => Promise<void> | void;
}

/** The totals of all runs. */
const tally = { calls: 0, lateServed: 0, lateRefused: 0 };

/** Runs `holders` on a pool of `maxConnections` clients, in the order that the scheduler chooses. */
async function run(scheduler: fc.Scheduler, holders: readonly Holder[], maxConnections: number): Promise<void> {
  const violations: string[] = [];
  /** The numbers of the holders that have released their client. */
  const released = new Set<number>();
  /** The users by the number of the holder, which each call carries. */
  const makers: User[] = holders.map(({ user }) => user);

  const project: typeof fetch = (input, init) => {
    const by = Number(/call=eq\.(\d+)/.exec(String(input))?.[1]);
    const headers = new Headers(init?.headers);
    const maker = makers[by];
    tally.calls++;
    if (maker === undefined || headers.get("authorization") !== `Bearer ${tokens[maker]}`) {
      violations.push(`a call of holder ${by} (${maker}) with another's token`);
    }
    if (headers.get("apikey") !== PUBLISHABLE) violations.push(`a call of holder ${by} with another key`);
    if (![null, String(by)].includes(headers.get("x-left"))) {
      violations.push(`holder ${by} sent a header that another left`);
    }
    if (released.has(by)) violations.push(`a call of holder ${by} after its release`);
    const owner = USERS.find((user) => headers.get("authorization") === `Bearer ${tokens[user]}`);
    return new Promise((resolve, reject) => {
      init?.signal?.addEventListener("abort", () => reject(init.signal?.reason), { once: true });
      scheduler.schedule(Promise.resolve(), `response to ${by}`).then(
        () => resolve(Response.json([{ owner }])),
        reject,
      );
    });
  };

  const pool = SupabaseConnectionPool.getInstance<Database>(PROJECT, PUBLISHABLE, {
    maxConnections,
    minConnections: 0,
    fetch: project,
  });
  async function take({ user, how, abrupt }: Holder): Promise<Held> {
    const identity = { token: tokens[user] };
    if (how === "lease") {
      const lease = await pool.lease({ identity });
      return { client: lease.client, release: () => lease.release() };
    }
    const scope = pool.scope({ identity });
    const client = how === "client" ? scope.client() : (await scope.lease()).client;
    const release = async () => {
      if (abrupt) scope.abort(new LeaseReleasedError());
      await scope.close().drained;
    };
    return { client, release };
  }

  /** The kept builders and clients, with the numbers of their holders. */
  const kept: { by: number; use: () => PromiseLike<unknown> }[] = [];

  async function hold(holder: Holder, by: number): Promise<void> {
    const { user, steps, abrupt } = holder;
    const { client, release } = await take(holder);
    const query = () => ask(client, user as never, String(by));
    const check = async (what: PromiseLike<unknown>, maker: User) => {
      const owners = await what;
      assertEquals([owners].flat(), [maker]);
    };
    const late = async ({ by, use }: typeof kept[number]) => {
      try {
        await check(use(), makers[by] ?? user);
        tally.lateServed++;
      } catch (error) {
        assertReleased(error);
        tally.lateRefused++;
      }
    };
    const underWay: Promise<unknown>[] = [];
    for (const step of steps) {
      if (step === "query") {
        const asked = check(query(), user);
        if (abrupt) underWay.push(asked.catch(assertReleased));
        else await asked;
      } else if (step === "pause") await scheduler.schedule(Promise.resolve(), `holder ${by} pauses`);
      else if (step === "build") {
        const builder = client.from("items").select().eq("call", String(by));
        kept.push({ by, use: () => builder.throwOnError().then(({ data }) => data.map((row) => row.owner)) });
      } else if (step === "keep") kept.push({ by, use: query });
      else if (step === "mark") {
        client.storage.setHeader("x-left", String(by));
        Reflect.get(client, "rest").headers.set("x-left", String(by));
      } else if (step === "token") {
        Reflect.get(client, "rest").headers.set("authorization", `Bearer ${tokens.alice}`);
        client.functions.setAuth(tokens.alice);
      } else {
        const found = kept[step.late % Math.max(kept.length, 1)];
        if (found === undefined) continue;
        // Not awaited while this holder has a slot: the call may be waiting for that slot.
        underWay.push(late(found));
      }
    }
    await release();
    released.add(by);
    await Promise.all(underWay);
  }

  try {
    await scheduler.waitFor(Promise.all(holders.map(hold)));
    assertEquals(violations, []);
    assertEquals(pool.getStats().activeConnections, 0);
  } finally {
    await pool.shutdown(0);
  }
}

/** Asserts that a call failed because its lease was released, also if supabase-js wrapped the error. */
function assertReleased(error: unknown): void {
  const message = String(Reflect.get(Object(error), "message"));
  assert(/LeaseReleasedError|was released|AbortError|aborted/.test(`${error} ${message}`), Deno.inspect(error));
}

Deno.test("SupabaseConnectionPool sends each call with its maker's token, in any order of callers and responses", async () => {
  const holders = fc.array(holder, { minLength: 2, maxLength: 6 });
  await fc.assert(fc.asyncProperty(fc.scheduler(), holders, fc.integer({ min: 1, max: 2 }), run), {
    numRuns: 500,
    seed: seedOfRun(),
  });
  assertGreater(tally.calls, 1_000);
  assertGreater(tally.lateServed, 20);
  assertGreater(tally.lateRefused, 100);
});
