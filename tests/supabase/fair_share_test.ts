/** Tests whose share of the slots a lease takes in a client pool with `fairShare`. */
import { assertEquals } from "@std/assert";
import { CredentialResolver } from "../../shared/supabase/identity.ts";
import type { SupabaseConnectionPool } from "../../shared/supabase/mod.ts";
import { userToken } from "../support/fake_project.ts";
import { createRig, PUBLISHABLE, SECRET } from "./support.ts";

const ada = { token: userToken("ada") };
const bob = { token: userToken("bob") };

type Lease = () => Promise<Disposable>;

/** Takes leases while the only slot is held, and returns the order in which they are granted. */
async function orderOf(pool: SupabaseConnectionPool, leases: Readonly<Record<string, Lease>>): Promise<string> {
  const holder = await pool.lease({ flow: "holder" });
  const order: string[] = [];
  const all = Object.entries(leases).map(async ([name, lease]) => {
    using _lease = await lease();
    order.push(name);
  });
  holder.release();
  await Promise.all(all);
  return order.join(" ");
}

Deno.test("SupabaseConnectionPool.lease() with fairShare takes the share of its identity", async () => {
  await using rig = createRig({ fairShare: true, maxConnections: 1 });
  const { pool } = rig;
  const order = await orderOf(pool, {
    a1: () => pool.lease({ identity: ada }),
    a2: () => pool.as(ada).lease(),
    a3: () => pool.lease({ identity: ada, flow: "import" }),
    b1: () => pool.as(bob).lease(),
    x1: () => pool.lease(),
    x2: () => pool.lease({ identity: "anonymous" }),
  });
  assertEquals(order, "a1 a3 b1 x1 a2 x2");
});

Deno.test("SupabaseConnectionPool.scope() with fairShare takes the share of its identity, or of its flow", async () => {
  await using rig = createRig({ fairShare: true, maxConnections: 1 });
  const { pool } = rig;
  const order = await orderOf(pool, {
    a1: () => pool.scope({ identity: ada }).lease(),
    a2: () => pool.scope({ identity: ada }).lease(),
    a3: () => pool.scope({ identity: ada, flow: "import" }).lease(),
    b1: () => pool.scope({ identity: bob }).lease(),
  });
  assertEquals(order, "a1 a3 b1 a2");
});

Deno.test("SupabaseConnectionPool.lease() without fairShare is first come, first served", async () => {
  await using rig = createRig({ maxConnections: 1 });
  const { pool } = rig;
  const order = await orderOf(pool, {
    a1: () => pool.lease({ identity: ada }),
    a2: () => pool.lease({ identity: ada }),
    b1: () => pool.scope({ identity: bob }).lease(),
  });
  assertEquals([order, pool.getStats().waitingFlows], ["a1 a2 b1", undefined]);
});

Deno.test("CredentialResolver.flowOf() has a key for each user, and contains no credential", () => {
  const users = new CredentialResolver("user", PUBLISHABLE, ["authenticated"]);
  const another = { token: userToken("ada", { session_id: "another" }) };
  assertEquals([ada, another, bob, "anonymous" as const, undefined].map((identity) => users.flowOf(identity)), [
    "user ada",
    "user ada",
    "user bob",
    "anonymous",
    "anonymous",
  ]);
  const admin = new CredentialResolver("admin", SECRET, []);
  assertEquals([admin.flowOf("admin"), admin.flowOf(undefined)], ["admin", "admin"]);
});
