/**
 * What handlers do with their clients, good and bad.
 *
 * @module
 */
import type { SupabaseClient } from "@supabase/supabase-js";
import type { PooledContext } from "../../shared/http/mod.ts";
import { PooledBaseService } from "../../shared/services/mod.ts";
import type { ClientPool } from "../../shared/supabase/mod.ts";
import type { Actor } from "./callers.ts";
import type { Random } from "./random.ts";

/** Rows of every shape: the Data API of these tests has no schema. */
// deno-lint-ignore no-explicit-any -- as SupabaseClient defaults to
export type Database = any;

/** A client, as a handler gets it. */
export type Client = SupabaseClient<Database>;

/** Something that outlives the request it was made in. */
export interface Kept {
  /** Who acted when it was made. Whoever uses it, it may act for nobody else. */
  readonly maker: Actor;
  /** Whether it may act for its maker even after that request: a pool may, what was leased for the request may not. */
  readonly outlives: boolean;
  /** Uses it, as the call of that name. Gives the owners of the rows that came. */
  readonly use: (call: string) => Promise<string[]>;
}

/** What a handler works with. */
export interface Task {
  readonly actor: Actor;
  readonly context: Pick<PooledContext<Database>, "supabase" | "supabaseAdmin" | "pool" | "waitUntil">;
  readonly random: Random;
  /** A name for the next call, unlike any other. */
  readonly nextCall: () => string;
  /** Puts something where other requests find it. */
  readonly keep: (kept: Kept) => void;
  /** Takes something that a request, this one or another, has kept. */
  readonly find: () => Omit<Kept, "outlives"> | undefined;
  /** Told what a handler saw and does not put into its answer. */
  readonly saw: (maker: Actor, owners: readonly string[]) => void;
  /** Told what was thrown where nobody waits for it. */
  readonly failed: (error: unknown) => void;
}

interface Result {
  readonly data: unknown;
  readonly error: unknown;
}

/** The owners that rows name. */
function ownersOf({ data, error }: Result): string[] {
  if (error) throw error;
  return (Array.isArray(data) ? data : [data]).map((row) => String(Reflect.get(row, "owner")));
}

/** A query that says who makes it. */
function query(client: Client, actor: Actor, call: string) {
  return client.from("items").select().eq("maker", actor).eq("call", call);
}

/** Asks for the rows of whoever `client` acts for. */
export async function ask(client: Client, actor: Actor, call: string): Promise<string[]> {
  return ownersOf(await query(client, actor, call));
}

const soon = (ms: number) => new Promise<void>((resolve) => setTimeout(resolve, ms));

/** A service, as functions have them. */
class ItemService extends PooledBaseService<Database> {
  async owners(actor: Actor, call: string): Promise<string[]> {
    const operation = async (client: Client) => await query(client, actor, call);
    return ownersOf(await this.withRetry<Result>(operation, 2, 1, { idempotent: true }));
  }
}

/** One call of another kind than a query. */
async function askElse(client: Client, actor: Actor, call: string, random: Random): Promise<string[]> {
  switch (random.pick({ rpc: 1, function: 1, file: 1, schema: 1, again: 1 })) {
    case "rpc":
      return ownersOf(await client.rpc("whose", { maker: actor, call }, { get: true }));
    case "function":
      return ownersOf(await client.functions.invoke(`whose?maker=${actor}&call=${call}`));
    case "file": {
      const { data, error } = await client.storage.from("files").download(`maker=${actor}/call=${call}`);
      if (error) throw error;
      return ownersOf({ data: JSON.parse(await data.text()), error });
    }
    case "schema":
      return ownersOf(await client.schema("private").from("notes").select().eq("maker", actor).eq("call", call));
    case "again": {
      const builder = query(client, actor, call);
      const first = ownersOf(await builder);
      return [...first, ...ownersOf(await builder)];
    }
  }
}

/** Leaves its mark wherever a client can be reached. A client may refuse. */
async function deface(client: Client, actor: Actor): Promise<void> {
  const attempts: readonly (() => unknown)[] = [
    () => client.functions.setAuth("somebody-else"),
    () => (client.functions as unknown as { headers: Record<string, string> }).headers["x-left"] = actor,
    () => client.storage.setHeader("x-left", actor),
    () => (client as unknown as { rest: { headers: Headers } }).rest.headers.set("x-left", actor),
    () => (client as unknown as { headers: Record<string, string> }).headers["x-left"] = actor,
    () => client.realtime.setAuth("somebody-else"),
    () => client.auth.setSession({ access_token: "somebody-else", refresh_token: "x" }),
    () => client.auth.onAuthStateChange(() => {}),
    () => Object.assign(client, { fetch: () => Promise.reject(new Error("left")) }),
  ];
  for (const attempt of attempts) {
    try {
      await attempt();
    } catch {
      // Refused, which is as well.
    }
  }
}

/** Keeps something of the client for whoever comes later. */
function keepOf(client: Client, pool: ClientPool<Database>, { actor, random, nextCall, keep }: Task): void {
  switch (random.pick({ client: 3, builder: 3, part: 2, pool: 1 })) {
    case "client":
      return keep({ maker: actor, outlives: false, use: (call) => ask(client, actor, call) });
    case "builder": {
      const builder = query(client, actor, nextCall());
      return keep({ maker: actor, outlives: false, use: async () => ownersOf(await builder) });
    }
    case "part": {
      const { functions } = client;
      const use = async (call: string) => ownersOf(await functions.invoke(`whose?maker=${actor}&call=${call}`));
      return keep({ maker: actor, outlives: false, use });
    }
    case "pool":
      return keep({
        maker: actor,
        outlives: true,
        use: async (call) => {
          await using lease = await pool.lease();
          return await ask(lease.client, actor, call);
        },
      });
  }
}

/** What handlers do, and how often. */
const HABITS = {
  once: 30,
  twice: 15,
  many: 6,
  other: 12,
  keep: 12,
  useKept: 12,
  deface: 6,
  lease: 8,
  service: 8,
  background: 5,
  admin: 5,
  forget: 1,
  fail: 2,
};

/** A handler's work: gives the owners of the rows it shows to its caller. */
export async function work(task: Task): Promise<string[]> {
  const { actor, context, random, nextCall, saw, failed } = task;
  const { supabase } = context;
  const one = () => ask(supabase, actor, nextCall());
  switch (random.pick(HABITS)) {
    case "once":
      return await one();
    case "twice": {
      const first = await one();
      await soon(random.below(3));
      return [...first, ...await one()];
    }
    case "many":
      return (await Promise.all(Array.from({ length: 9 }, one))).flat();
    case "other":
      return await askElse(supabase, actor, nextCall(), random);
    case "keep":
      keepOf(supabase, context.pool, task);
      return random.chance(0.5) ? await one() : [];
    case "useKept": {
      const kept = task.find();
      // Neither theirs nor ours to show: what comes of it is looked at, and not answered.
      const use = kept?.use(nextCall()).then((owners) => saw(kept.maker, owners), failed);
      const [owners] = await Promise.all([one(), use]);
      return owners;
    }
    case "deface":
      await deface(supabase, actor);
      return await askElse(supabase, actor, nextCall(), random);
    case "lease": {
      await using lease = await context.pool.lease();
      await deface(lease.client, actor);
      return await ask(lease.client, actor, nextCall());
    }
    case "service":
      return await new ItemService(context.pool).owners(actor, nextCall());
    case "background":
      context.waitUntil(soon(random.below(5)).then(one).then((owners) => saw(actor, owners), failed));
      return [];
    case "admin": {
      saw("admin", await ask(context.supabaseAdmin, "admin", nextCall()));
      return await one();
    }
    case "forget": {
      const { client } = await context.pool.lease();
      return await ask(client, actor, nextCall());
    }
    case "fail":
      await one();
      throw new Error("a handler's own fault");
  }
}
