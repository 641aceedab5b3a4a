/**
 * Few callers on few clients, in every order there is: which of them goes on,
 * and which answer comes first, is chosen by the test. Unlike the crowd's, a
 * failure here comes again exactly as it was, and is made as short as it can be.
 *
 * @module
 */
import { assert, assertEquals, assertGreater } from "@std/assert";
import fc from "fast-check";
import { LeaseReleasedError } from "../../shared/pool/mod.ts";
import { SupabaseConnectionPool } from "../../shared/supabase/mod.ts";
import { userToken } from "../support/fake_project.ts";
import { PROJECT, PUBLISHABLE } from "./callers.ts";
import { ask, type Client, type Database } from "./habits.ts";
import { seedOfRun } from "./random.ts";

const USERS = ["alice", "bob", "carol"] as const;
type User = typeof USERS[number];
const tokens: Readonly<Record<User, string>> = {
  alice: userToken("alice"),
  bob: userToken("bob"),
  carol: userToken("carol"),
};

/** What a holder does: with its client, or with what any holder has left lying about. */
const step = fc.oneof(
  { weight: 3, arbitrary: fc.constant("query" as const) },
  fc.constantFrom("pause", "build", "keep", "mark", "token"),
  fc.record({ late: fc.nat(20) }),
);
const holder = fc.record({
  user: fc.constantFrom(...USERS),
  how: fc.constantFrom("lease", "client", "scope"),
  steps: fc.array(step, { maxLength: 7 }),
  /** Whether it lets go with calls under way. */
  abrupt: fc.boolean(),
});
type Holder = typeof holder extends fc.Arbitrary<infer T> ? T : never;

/** A client, and how its holder lets go of it. */
interface Held {
  readonly client: Client;
  readonly letGo: () => Promise<void> | void;
}

/** What came of all runs together. */
const tally = { calls: 0, lateServed: 0, lateRefused: 0 };

/** Runs `holders` on a pool of so many clients, in the order that the scheduler chooses. */
async function run(scheduler: fc.Scheduler, holders: readonly Holder[], maxConnections: number): Promise<void> {
  const violations: string[] = [];
  /** The numbers of the holders that have let go. */
  const gone = new Set<number>();
  /** Who holds what: by the number that each call carries. */
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
    if (![null, String(by)].includes(headers.get("x-left"))) violations.push(`holder ${by} sent what another left`);
    if (gone.has(by)) violations.push(`a call of holder ${by}, who had let go`);
    const owner = USERS.find((user) => headers.get("authorization") === `Bearer ${tokens[user]}`);
    return new Promise((resolve, reject) => {
      init?.signal?.addEventListener("abort", () => reject(init.signal?.reason), { once: true });
      scheduler.schedule(Promise.resolve(), `answer to ${by}`).then(() => resolve(Response.json([{ owner }])), reject);
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
      return { client: lease.client, letGo: () => lease.release() };
    }
    const scope = pool.scope({ identity });
    const client = how === "client" ? scope.client() : (await scope.lease()).client;
    const letGo = async () => {
      if (abrupt) scope.abort(new LeaseReleasedError());
      await scope.close().drained;
    };
    return { client, letGo };
  }

  /** What lies about: whose it is, and a way to use it. */
  const about: { by: number; use: () => PromiseLike<unknown> }[] = [];

  async function hold(holder: Holder, by: number): Promise<void> {
    const { user, steps, abrupt } = holder;
    const { client, letGo } = await take(holder);
    const query = () => ask(client, user as never, String(by));
    const looked = async (what: PromiseLike<unknown>, maker: User) => {
      const owners = await what;
      assertEquals([owners].flat(), [maker]);
    };
    const late = async ({ by, use }: typeof about[number]) => {
      try {
        await looked(use(), makers[by] ?? user);
        tally.lateServed++;
      } catch (error) {
        refused(error);
        tally.lateRefused++;
      }
    };
    const underWay: Promise<unknown>[] = [];
    for (const step of steps) {
      if (step === "query") {
        const asked = looked(query(), user);
        if (abrupt) underWay.push(asked.catch(refused));
        else await asked;
      } else if (step === "pause") await scheduler.schedule(Promise.resolve(), `holder ${by} pauses`);
      else if (step === "build") {
        const builder = client.from("items").select().eq("call", String(by));
        about.push({ by, use: () => builder.throwOnError().then(({ data }) => data.map((row) => row.owner)) });
      } else if (step === "keep") about.push({ by, use: query });
      else if (step === "mark") {
        client.storage.setHeader("x-left", String(by));
        Reflect.get(client, "rest").headers.set("x-left", String(by));
      } else if (step === "token") {
        Reflect.get(client, "rest").headers.set("authorization", `Bearer ${tokens.alice}`);
        client.functions.setAuth(tokens.alice);
      } else {
        const found = about[step.late % Math.max(about.length, 1)];
        if (found === undefined) continue;
        // Not waited for while a place is held: the other may be waiting for just that place.
        underWay.push(late(found));
      }
    }
    await letGo();
    gone.add(by);
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

/** Calls of a lease that has ended fail by that name, however supabase-js wraps it; nothing else may go wrong. */
function refused(error: unknown): void {
  const message = String(Reflect.get(Object(error), "message"));
  assert(/LeaseReleasedError|was released|AbortError|aborted/.test(`${error} ${message}`), Deno.inspect(error));
}

Deno.test("whatever the order in which callers go on and answers come, each call is its own maker's", async () => {
  const holders = fc.array(holder, { minLength: 2, maxLength: 6 });
  await fc.assert(fc.asyncProperty(fc.scheduler(), holders, fc.integer({ min: 1, max: 2 }), run), {
    numRuns: 500,
    seed: seedOfRun(),
  });
  assertGreater(tally.calls, 1_000);
  assertGreater(tally.lateServed, 20);
  assertGreater(tally.lateRefused, 100);
});
