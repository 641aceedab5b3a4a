/**
 * State that one holder leaves on a client for the next. Each test runs twice: on
 * one client that two callers share, where the second sees the state of the first,
 * and on a pool of one client, where it does not.
 *
 * @module
 */
import { assert, assertEquals, assertInstanceOf } from "@std/assert";
import { createClient } from "@supabase/supabase-js";
import { type ClientLease, SupabaseConnectionPool, ViewRestrictedError } from "../../shared/supabase/mod.ts";
import { LeaseReleasedError } from "../../shared/pool/mod.ts";
import { type FakeProject, type RecordedRequest, startFakeProject, userToken } from "../support/fake_project.ts";
import { PUBLISHABLE } from "./callers.ts";
import type { Client, Database } from "./handler_behaviors.ts";

const alice = userToken("alice");
const bob = userToken("bob");

/** One way to leave state on a client. */
interface Leak {
  /** Alice's use of the client. */
  readonly leave: (client: Client) => unknown;
  /** Bob's use of the client afterwards. */
  readonly use: (client: Client) => unknown;
  /** Returns whether Bob's call contains Alice's state. */
  readonly shows: (call: RecordedRequest) => boolean;
  /** `true` if a pooled client rejects Alice's use; `false` if its effect ends with her lease. */
  readonly refused: boolean;
}

const asAlice = ({ authorization }: RecordedRequest) => authorization === `Bearer ${alice}`;
const marked = ({ headers }: RecordedRequest) => headers.get("x-left") === "alice";
const select = (client: Client) => client.from("budgets").select();
const inside = (client: Client) => client as unknown as { headers: Record<string, string>; rest: { headers: Headers } };

const LEAKS: Readonly<Record<string, Leak>> = {
  "auth.setSession: the session": {
    leave: (client) => client.auth.setSession({ access_token: alice, refresh_token: "alice-refreshes" }),
    use: select,
    shows: asAlice,
    refused: true,
  },
  "functions.setAuth: the token": {
    leave: (client) => client.functions.setAuth(alice),
    use: (client) => client.functions.invoke("report"),
    shows: asAlice,
    refused: false,
  },
  "storage.setHeader: the header": {
    leave: (client) => client.storage.setHeader("authorization", `Bearer ${alice}`).setHeader("x-left", "alice"),
    use: (client) => client.storage.from("files").list(),
    shows: (call) => asAlice(call) && marked(call),
    refused: false,
  },
  "storage.headers: the header": {
    leave: (client) => (client.storage as unknown as { headers: Record<string, string> }).headers["x-left"] = "alice",
    use: (client) => client.storage.from("files").list(),
    shows: marked,
    refused: false,
  },
  "client.headers: the header": {
    // Each read of `functions` creates it again, with these headers.
    leave: (client) => inside(client).headers["x-left"] = "alice",
    use: (client) => client.functions.invoke("report"),
    shows: marked,
    refused: false,
  },
  "rest.headers: the header": {
    leave: (client) => inside(client).rest.headers.set("x-left", "alice"),
    use: select,
    shows: marked,
    refused: false,
  },
  "rest.headers: the token": {
    leave: (client) => inside(client).rest.headers.set("authorization", `Bearer ${alice}`),
    use: select,
    shows: asAlice,
    refused: false,
  },
};

/** Starts a project with the part of Auth that `setSession` calls. */
function startProject(): FakeProject {
  const project = startFakeProject();
  project.answer = ({ url }) => {
    if (url.includes("/auth/v1/user")) return Response.json({ id: "alice", aud: "authenticated" });
    return Response.json(url.includes("/functions/") ? {} : []);
  };
  return project;
}

/** Creates one client for all callers, with the options of pooled clients. */
function shared(project: FakeProject): Client {
  return createClient<Database>(project.url, PUBLISHABLE, {
    auth: { persistSession: false, autoRefreshToken: false, detectSessionInUrl: false },
    db: { retry: false },
  });
}

/** Leases the only client of a pool as Alice, and then as Bob. */
async function leaseInTurn(
  project: FakeProject,
  first: (client: Client) => unknown,
  second: (client: Client, gone: ClientLease<Database>) => unknown,
): Promise<void> {
  const pool = SupabaseConnectionPool.getInstance<Database>(project.url, PUBLISHABLE, {
    maxConnections: 1,
    minConnections: 0,
  });
  try {
    const lease = await pool.lease({ identity: { token: alice } });
    try {
      await first(lease.client);
    } finally {
      lease.release();
    }
    await using next = await pool.lease({ identity: { token: bob } });
    await second(next.client, lease);
    assertEquals(pool.getStats().totalCreated, 1, "Alice and Bob must lease the same client");
  } finally {
    await pool.shutdown(0);
  }
}

for (const [name, { leave, use, shows, refused }] of Object.entries(LEAKS)) {
  Deno.test(`ClientLease drops ${name}, which stays on a shared client`, async () => {
    await using project = startProject();
    const client = shared(project);
    await leave(client);
    project.requests.length = 0;
    await use(client);
    assertEquals(project.requests.map(shows), [true], "a shared client must leak, or this test proves nothing");

    let refusal: unknown;
    await leaseInTurn(project, async (client) => {
      try {
        await leave(client);
      } catch (error) {
        refusal = error;
      }
    }, async (client) => {
      project.requests.length = 0;
      await use(client);
    });
    assertEquals(refusal instanceof ViewRestrictedError, refused, String(refusal));
    assertEquals(project.requests.map(shows), [false]);
    assertEquals(project.requests.map(({ authorization }) => authorization), [`Bearer ${bob}`]);
    for (const call of project.requests) assert(!JSON.stringify([...call.headers]).includes("alice"));
  });
}

Deno.test("auth.onAuthStateChange() is rejected by a pooled client; on a shared client the listener gets the next caller's token", async () => {
  await using project = startProject();
  const tokens: (string | undefined)[] = [];
  const listen = (client: Client) =>
    client.auth.onAuthStateChange((_event, session) => tokens.push(session?.access_token));
  const signIn = (client: Client) => client.auth.setSession({ access_token: bob, refresh_token: "bob-refreshes" });

  const client = shared(project);
  const { data: { subscription } } = listen(client);
  await signIn(client);
  subscription.unsubscribe();
  assert(tokens.includes(bob), "a shared client must leak, or this test proves nothing");

  tokens.length = 0;
  const refusals: unknown[] = [];
  const attempt = async (what: () => unknown) => {
    try {
      await what();
    } catch (error) {
      refusals.push(error);
    }
  };
  await leaseInTurn(project, (client) => attempt(() => listen(client)), (client) => attempt(() => signIn(client)));
  for (const refusal of refusals) assertInstanceOf(refusal, ViewRestrictedError);
  assertEquals([refusals.length, tokens], [2, []]);
});

Deno.test("realtime.setAuth() and channel() are rejected by a pooled client; on a shared client their state stays", async () => {
  await using project = startProject();
  const channels = (client: Client) => client.getChannels().map(({ topic }) => topic);
  const token = (client: Client) => Reflect.get(client.realtime, "accessTokenValue");

  const client = shared(project);
  await client.realtime.setAuth(alice);
  client.channel("of-alice");
  assertEquals([token(client), channels(client)], [alice, ["realtime:of-alice"]], "a shared client must leak");

  const refusals: unknown[] = [];
  await leaseInTurn(project, (client) => {
    for (const what of [() => client.realtime.setAuth(alice), () => client.channel("of-alice")]) {
      try {
        what();
      } catch (error) {
        refusals.push(error);
      }
    }
  }, (client) => assertEquals(channels(client), []));
  assertEquals(refusals.length, 2);
  for (const refusal of refusals) assertInstanceOf(refusal, ViewRestrictedError);
});

Deno.test("from() of one caller, awaited by the next, is rejected by a pooled client; a shared client sends the next caller's token", async () => {
  await using project = startProject();
  let current = alice;
  const client = createClient<Database>(project.url, PUBLISHABLE, { accessToken: () => Promise.resolve(current) });
  const late = client.from("budgets").select();
  current = bob;
  await late;
  assertEquals(
    project.requests.map(({ authorization }) => authorization),
    [`Bearer ${bob}`],
    "a shared client must leak",
  );

  project.requests.length = 0;
  let kept: PromiseLike<{ error: unknown }> | undefined;
  let outcome: unknown;
  await leaseInTurn(project, (client) => void (kept = client.from("budgets").select()), async (client) => {
    outcome = (await kept)?.error;
    await client.from("budgets").select();
  });
  assert(String(Reflect.get(Object(outcome), "message")).startsWith(LeaseReleasedError.name), Deno.inspect(outcome));
  assertEquals(project.requests.map(({ authorization }) => authorization), [`Bearer ${bob}`]);
});
