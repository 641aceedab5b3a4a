/** Tests whose share of the connections a caller takes, with `fairShare`. */
import { assertEquals } from "@std/assert";
import type { PostgresConnection } from "../../shared/postgres/mod.ts";
import { claimsOf, TestDatabase } from "./support.ts";

const ALICE = "7a1d6f3e-0c4b-4e52-9f0a-1b6b1c2d3e04";
const BOB = "0b4d3a77-54b7-4f0b-8d0d-6f6a7c1e2f05";

Deno.test("manager.as() with fairShare takes the share of its caller, or of its flow", async () => {
  await using database = await TestDatabase.start();
  const manager = database.manager({ maxConnections: 1, fairShare: true }, "authenticator");
  const order: string[] = [];
  const pools = {
    a1: manager.as(claimsOf(ALICE)),
    a2: manager.as(claimsOf(ALICE)),
    a3: manager.as(claimsOf(ALICE), { flow: "import" }),
    b1: manager.as(claimsOf(BOB)),
    x1: manager.as("anonymous"),
    own: manager,
  };
  const holder = await manager.lease({ flow: "holder" });
  const all = Object.entries(pools).map(async ([name, pool]) => {
    const lease: PostgresConnection = await pool.lease();
    order.push(name);
    lease.release();
  });
  assertEquals(manager.getStats().waitingFlows, 5);
  holder.release();
  await Promise.all(all);
  assertEquals(order.join(" "), "a1 a3 b1 x1 own a2");
});

Deno.test("manager.query() with fairShare holds the share of its flow on an idle connection", async () => {
  await using database = await TestDatabase.start();
  const manager = database.manager({ maxConnections: 2, maxStatementsInFlight: 1, fairShare: true });
  const leases = await Promise.all([manager.lease(), manager.lease()]);
  for (const lease of leases) lease.release();
  const slow = [1, 2].map(() => manager.query("select pg_sleep(0.3)", [], { flow: "import" }));
  const order: string[] = [];
  const wait = async (flow: string) => {
    const lease = await manager.lease({ flow });
    order.push(flow);
    lease.release();
  };
  // The flow that holds both connections is served after one that has none.
  await Promise.all([wait("import"), wait("other"), ...slow]);
  assertEquals(order, ["other", "import"]);
});
