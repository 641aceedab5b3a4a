/**
 * Isolation of the users of one isolate on the real Data API, with its row-level security.
 *
 * `ISOLATION_SEED` decides what the requests do, as for `tests/isolation`.
 *
 * @module
 */
import { assert, assertEquals, assertGreater } from "@std/assert";
import postgres from "postgres";
import { SupabaseService } from "../../shared/services/mod.ts";
import { readEnvironment } from "../../shared/http/mod.ts";
import type { Database } from "../isolation/handler_behaviors.ts";
import { Random, seedOfRun } from "../isolation/random.ts";
import { type PooledHandler, withPooledSupabase } from "../support/http.ts";
import { signUp, type User, useStack } from "./support.ts";

const stack = useStack();

const USERS = 12;
const REQUESTS = 1_500;
const AT_ONCE = 40;

/** A budget, as the Data API returns it. */
interface Budget {
  readonly id: string;
  readonly user_id: string;
  readonly name: string;
}

/** A user and their rows. */
interface Owner extends User {
  /** The prefix of the names of their budgets. */
  readonly label: string;
  readonly budgets: readonly Budget[];
}

type Client = Parameters<PooledHandler<Database>>[1]["supabase"];

async function rows(query: PromiseLike<{ data: Budget[] | null; error: unknown }>): Promise<Budget[]> {
  const { data, error } = await query;
  if (error) throw error;
  return data ?? [];
}

/** A function that reads and writes budgets of its caller and of others, and keeps its clients after the request. */
function createHandler(owners: readonly Owner[], seed: number, refused: { count: number }): PooledHandler<Database> {
  const kept: { client: Client; label: string }[] = [];
  return async (request, { supabase, pool }) => {
    const url = new URL(request.url);
    const n = Number(url.searchParams.get("n"));
    const owner = owners[Number(url.searchParams.get("owner"))];
    const other = owners[Number(url.searchParams.get("other"))];
    assert(owner && other);
    const random = new Random(seed, "handler", n);
    const late = kept[random.below(kept.length)];
    if (random.chance(0.2)) kept[random.below(20)] = { client: supabase, label: owner.label };
    const budgets = (client: Client = supabase) => client.from("budgets");
    switch (random.pick({ list: 5, change: 3, add: 2, late: 2, steal: 3, lease: 2 })) {
      case "list":
        return Response.json(await rows(budgets().select()));
      case "change":
        // The query asks for the rows of every user.
        return Response.json(await rows(budgets().update({ currency: "EUR" }).neq("name", "").select()));
      case "add":
        return Response.json(await rows(budgets().insert({ name: `${owner.label} ${n}` }).select()));
      case "late": {
        // A client of an earlier request, mostly finished: what it writes belongs to its own user.
        const result = late && await budgets(late.client).insert({ name: `${late.label} late ${n}` });
        // Rejected: its request has finished, or its caller has disconnected.
        if (result?.error) refused.count++;
        return Response.json(await rows(budgets().select()));
      }
      case "steal": {
        const id = other.budgets[random.below(other.budgets.length)]?.id ?? "";
        const [seen, renamed, deleted] = await Promise.all([
          rows(budgets().select().eq("id", id)),
          rows(budgets().update({ name: `${owner.label} stole it` }).eq("id", id).select()),
          rows(budgets().delete().eq("id", id).select()),
        ]);
        return Response.json([...seen, ...renamed, ...deleted]);
      }
      case "lease": {
        await using lease = await pool.lease();
        return Response.json([...await rows(budgets(lease.client).select()), ...await rows(budgets().select())]);
      }
    }
  };
}

Deno.test(`${USERS} users on the real Data API see and change their own rows only, in ${REQUESTS} interleaved requests`, async () => {
  const { url, authUrl, publishableKey, secretKey, dbUrl } = stack();
  const variables = {
    SUPABASE_URL: url,
    SUPABASE_PUBLISHABLE_KEY: publishableKey,
    SUPABASE_SECRET_KEY: secretKey,
    SUPABASE_JWKS: await (await fetch(`${authUrl}/.well-known/jwks.json`)).text(),
    POOL_MAX_CONNECTIONS: "8",
  };
  const sql = postgres(dbUrl, { max: 1, onnotice: () => {} });
  const service = new SupabaseService<Database>(readEnvironment(variables));
  try {
    const owners = await Promise.all(Array.from({ length: USERS }, async (_, n): Promise<Owner> => {
      const label = `owner-${n}:`;
      const user = await signUp(stack(), `isolation-${n}`);
      const names = ["a", "b", "c"].map((name) => ({ name: `${label} ${name}` }));
      await using lease = await service.getConnectionPool().lease({ identity: { token: user.token } });
      return { ...user, label, budgets: await rows(lease.client.from("budgets").insert(names).select()) };
    }));

    const seed = seedOfRun();
    const refused = { count: 0 };
    const handle = withPooledSupabase<Database>(
      { auth: "user", variables, service, log: () => {} },
      createHandler(owners, seed, refused),
    );
    const again = `ISOLATION_SEED=${seed} shows it again`;
    const statuses: Record<number, number> = {};
    let seen = 0;
    let next = 0;
    const lane = async () => {
      while (next < REQUESTS) {
        const n = next++;
        const random = new Random(seed, "request", n);
        const me = random.below(USERS);
        const owner = owners[me];
        assert(owner);
        const other = (me + 1 + random.below(USERS - 1)) % USERS;
        const leaves = new AbortController();
        const timer = random.chance(0.1) ? setTimeout(() => leaves.abort(), random.below(20)) : undefined;
        const response = await handle(
          new Request(`http://functions.test/f?n=${n}&owner=${me}&other=${other}`, {
            headers: { authorization: `Bearer ${owner.token}`, apikey: publishableKey },
            signal: leaves.signal,
          }),
        );
        const body = await response.json();
        clearTimeout(timer);
        statuses[response.status] = (statuses[response.status] ?? 0) + 1;
        assert([200, 499].includes(response.status), `${response.status}: ${JSON.stringify(body)}; ${again}`);
        if (response.status !== 200) continue;
        for (const { user_id, name } of body as Budget[]) {
          assertEquals(
            [user_id, name.startsWith(owner.label)],
            [owner.id, true],
            `${owner.label} got ${name}; ${again}`,
          );
          seen++;
        }
      }
    };
    await Promise.all(Array.from({ length: AT_ONCE }, lane));
    assertGreater(statuses[200] ?? 0, REQUESTS / 2);
    assertGreater(statuses[499] ?? 0, 0);
    assertGreater(seen, REQUESTS);
    assertGreater(refused.count, REQUESTS / 50);

    // In the database each row belongs to the user in its label, and none was stolen.
    const written = await sql<Budget[]>`select id, user_id, name from public.budgets where name like 'owner-%'`;
    const ids = new Map(owners.map(({ label, id }) => [label, id]));
    for (const { user_id, name } of written) {
      assertEquals(user_id, ids.get(name.split(" ")[0] ?? ""), `${name}; ${again}`);
    }
    const names = new Map(written.map(({ id, name }) => [id, name]));
    for (const { id, name } of owners.flatMap(({ budgets }) => budgets)) assertEquals(names.get(id), name, again);
    assertGreater(written.length, 3 * USERS + REQUESTS / 30);
  } finally {
    await service.shutdown(0);
    await sql.end();
  }
});
