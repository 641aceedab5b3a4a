/**
 * Behaviors of handlers: correct and harmful uses of their clients.
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

/** The client of a handler. */
export type Client = SupabaseClient<Database>;

/** A client, builder or pool that a handler kept after its request. */
export interface Leaked {
  /** The identity of the request that created it, and the only one it may act for. */
  readonly maker: Actor;
  /** `true` if it may act for its maker after that request: a pool may, a client leased for the request may not. */
  readonly outlives: boolean;
  /** Uses it for the call of that name. Returns the owners of the rows. */
  readonly use: (call: string) => Promise<string[]>;
}

/** The inputs of a handler's behavior. */
export interface Task {
  readonly actor: Actor;
  readonly context: Pick<PooledContext<Database>, "supabase" | "supabaseAdmin" | "pool" | "waitUntil">;
  readonly random: Random;
  /** Returns a unique name for the next call. */
  readonly nextCall: () => string;
  /** Stores something for other requests. */
  readonly keep: (kept: Leaked) => void;
  /** Returns something that a request, this one or another, has kept. */
  readonly find: () => Omit<Leaked, "outlives"> | undefined;
  /** Called with the owners of rows that are not in the response. */
  readonly onRows: (maker: Actor, owners: readonly string[]) => void;
  /** Called with errors that the handler does not throw. */
  readonly onError: (error: unknown) => void;
}

interface Result {
  readonly data: unknown;
  readonly error: unknown;
}

/** Returns the owners of the rows. */
function ownersOf({ data, error }: Result): string[] {
  if (error) throw error;
  return (Array.isArray(data) ? data : [data]).map((row) => String(Reflect.get(row, "owner")));
}

/** Returns a query that names its maker and its call. */
function query(client: Client, actor: Actor, call: string) {
  return client.from("items").select().eq("maker", actor).eq("call", call);
}

/** Returns the owners of the rows that `client` can read. */
export async function ask(client: Client, actor: Actor, call: string): Promise<string[]> {
  return ownersOf(await query(client, actor, call));
}

const soon = (ms: number) => new Promise<void>((resolve) => setTimeout(resolve, ms));

/** A service as functions define them. */
class ItemService extends PooledBaseService<Database> {
  async owners(actor: Actor, call: string): Promise<string[]> {
    const operation = async (client: Client) => await query(client, actor, call);
    return ownersOf(await this.withRetry<Result>(operation, 2, 1, { idempotent: true }));
  }
}

/** Runs a call other than a plain query. */
async function askOtherwise(client: Client, actor: Actor, call: string, random: Random): Promise<string[]> {
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

/** Changes each mutable part of a client. The client may reject a change. */
async function deface(client: Client, actor: Actor): Promise<void> {
  const attempts: readonly (() => unknown)[] = [
    () => client.functions.setAuth("other-user"),
    () => (client.functions as unknown as { headers: Record<string, string> }).headers["x-left"] = actor,
    () => client.storage.setHeader("x-left", actor),
    () => (client as unknown as { rest: { headers: Headers } }).rest.headers.set("x-left", actor),
    () => (client as unknown as { headers: Record<string, string> }).headers["x-left"] = actor,
    () => client.realtime.setAuth("other-user"),
    () => client.auth.setSession({ access_token: "other-user", refresh_token: "x" }),
    () => client.auth.onAuthStateChange(() => {}),
    () => Object.assign(client, { fetch: () => Promise.reject(new Error("left")) }),
  ];
  for (const attempt of attempts) {
    try {
      await attempt();
    } catch {
      // A rejection is as good as no effect.
    }
  }
}

/** Keeps a part of the client for later requests. */
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

/** The behaviors of handlers, with their relative frequencies. */
const BEHAVIORS = {
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

/** Runs one behavior. Returns the owners of the rows for the response. */
export async function work(task: Task): Promise<string[]> {
  const { actor, context, random, nextCall, onRows, onError } = task;
  const { supabase } = context;
  const one = () => ask(supabase, actor, nextCall());
  switch (random.pick(BEHAVIORS)) {
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
      return await askOtherwise(supabase, actor, nextCall(), random);
    case "keep":
      keepOf(supabase, context.pool, task);
      return random.chance(0.5) ? await one() : [];
    case "useKept": {
      const kept = task.find();
      // The rows may be those of another user: they are checked and left out of the response.
      const use = kept?.use(nextCall()).then((owners) => onRows(kept.maker, owners), onError);
      const [owners] = await Promise.all([one(), use]);
      return owners;
    }
    case "deface":
      await deface(supabase, actor);
      return await askOtherwise(supabase, actor, nextCall(), random);
    case "lease": {
      await using lease = await context.pool.lease();
      await deface(lease.client, actor);
      return await ask(lease.client, actor, nextCall());
    }
    case "service":
      return await new ItemService(context.pool).owners(actor, nextCall());
    case "background":
      context.waitUntil(soon(random.below(5)).then(one).then((owners) => onRows(actor, owners), onError));
      return [];
    case "admin": {
      onRows("admin", await ask(context.supabaseAdmin, "admin", nextCall()));
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
