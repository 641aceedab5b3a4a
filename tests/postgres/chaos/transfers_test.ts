/**
 * Ten thousand transfers in a storm of faults: money is neither lost nor
 * invented, nothing is done twice, and no connection is lost.
 *
 * More of them, in another order: `CHAOS_TRANSFERS=100000 CHAOS_SEED=random`.
 */
import { assert, assertEquals } from "@std/assert";
import { Random } from "../../isolation/random.ts";
import { ServiceError } from "../../../shared/services/mod.ts";
import { Money, type Owner } from "../transfers/money.ts";
import { pause, Rig, until, useEverySlot } from "./rig.ts";
import { Storm } from "./storm.ts";
import { type TransferOrder, TransferService } from "../../../functions/_app/transfer_service.ts";

const TRANSFERS = Number(Deno.env.get("CHAOS_TRANSFERS") ?? 10_000);
const WISHED_SEED = Deno.env.get("CHAOS_SEED") ?? "1";
const SEED = WISHED_SEED === "random" ? Math.trunc(Math.random() * 2 ** 31) : Number(WISHED_SEED);
const WORKERS = 24;
const MAX_CONNECTIONS = 8;
const OWNERS = 6;
const BALANCE = 500;

/** An order, and whose it is. */
interface Sent {
  readonly owner: Owner;
  readonly order: TransferOrder;
}

function ordersOf(owners: readonly Owner[], random: Random): Sent[] {
  return Array.from({ length: TRANSFERS }, (_, index) => {
    const owner = owners[random.below(owners.length)];
    if (!owner) throw new Error("No owner has money");
    const ids = owner.categoryIds;
    const from = random.below(ids.length);
    const to = (from + 1 + random.below(ids.length - 1)) % ids.length;
    const order = {
      fromCategoryId: ids[from] ?? "",
      toCategoryId: ids[to] ?? "",
      amount: 1 + random.below(60),
      idempotencyKey: `order-${index}`,
    };
    return { owner, order };
  });
}

Deno.test(`TransferService.transfer() loses no cent in ${TRANSFERS} transfers under random faults`, async (t) => {
  await using money = await Money.start();
  await using rig = await Rig.start(money.database);
  const manager = rig.manager({
    maxConnections: MAX_CONNECTIONS,
    queryTimeoutMs: 400,
    cancelTimeoutMs: 100,
    acquireTimeoutMs: 2_000,
  }, "authenticator");
  const owners = await Promise.all(Array.from({ length: OWNERS }, () => money.owner(...Array(5).fill(BALANCE))));
  const orders = ordersOf(owners, new Random(SEED, "orders"));

  let success = Promise.withResolvers<void>();
  const expected = new Map(owners.flatMap(({ categoryIds }) => categoryIds.map((id) => [id, BALANCE])));
  const add = (id: string, amount: number) => expected.set(id, (expected.get(id) ?? NaN) + amount);
  let [made, replayed, refused, most] = [0, 0, 0, 0];
  let over = false;
  const failures = new Map<string, number>();

  /** Sends an order under its key until it is known what became of it, as a caller should. */
  async function settle({ owner, order }: Sent): Promise<void> {
    const service = new TransferService(manager.as(owner.claims), { retryDelayMs: 2, timeoutMs: 800 });
    for (;;) {
      try {
        const outcome = await service.transfer(order);
        if (outcome.replayed) replayed++;
        made++;
        add(order.fromCategoryId, -order.amount);
        add(order.toCategoryId, order.amount);
        success.resolve();
        success = Promise.withResolvers();
        return;
      } catch (error) {
        if (over) throw error;
        const code = String(Reflect.get(error as object, "code"));
        if (error instanceof ServiceError && code === "INSUFFICIENT_BALANCE") {
          refused++;
          return;
        }
        failures.set(code, (failures.get(code) ?? 0) + 1);
        await pause(5);
      }
    }
  }

  async function work(): Promise<void> {
    for (let next = orders.pop(); next; next = orders.pop()) {
      await settle(next);
      most = Math.max(most, manager.getStats().totalConnections);
    }
  }

  const storm = new Storm(rig, money.auditor, new Random(SEED, "faults"), () => success.promise);
  const start = performance.now();
  const blowing = storm.begin();
  const working = Promise.all(Array.from({ length: WORKERS }, work));
  // A fault that stays would let no transfer succeed.
  await Promise.race([working, blowing.then(() => working)]).finally(() => over = true);
  const tookMs = performance.now() - start;
  await storm.end();

  console.log(
    `seed ${SEED}: ${made} made (${replayed} found made), ${refused} refused, ${Math.round(tookMs)} ms\n` +
      `faults: ${[...storm.counts].map(([name, count]) => `${count} ${name}`).join(", ")}\n` +
      `failures that callers saw: ${[...failures].map(([code, count]) => `${count} ${code}`).join(", ")}\n` +
      `ms to the first success after a restart (and to a newcomer's): ${
        storm.recoveries.map(({ successMs, newcomerMs }) => `${Math.round(successMs)} (${Math.round(newcomerMs)})`)
          .join(", ")
      }`,
  );

  await t.step("TransferService.transfer() loses no cent", async () => {
    for (const { categoryIds, budgetId } of owners) {
      const balances = await money.balances(categoryIds);
      assertEquals(balances, categoryIds.map((id) => expected.get(id)), budgetId);
      assertEquals(balances.reduce((sum, balance) => sum + balance), BALANCE * categoryIds.length);
    }
  });

  await t.step("TransferService.transfer() carries each transfer out once", async () => {
    assertEquals(made + refused, TRANSFERS);
    const { rows } = await money.auditor.query(
      "select count(*)::int as made, count(distinct idempotency_key)::int as keys from public.transfers",
    );
    assertEquals(rows, [{ made, keys: made }]);
  });

  await t.step("PostgresConnectionManager loses no connection and never exceeds its limit", async () => {
    assert(most <= MAX_CONNECTIONS, `${most} connections`);
    await useEverySlot(manager);
    const { totalCreated, totalDestroyed, totalConnections, totalAcquired, totalReleased } = manager.getStats();
    assertEquals(totalCreated - totalDestroyed, totalConnections);
    assertEquals(totalAcquired, totalReleased);
    const backends = "select count(*)::int as n from pg_stat_activity where usename = 'authenticator'";
    await until("the server has let go of the others", async () => {
      const { rows: [row] } = await money.auditor.query<{ n: number }>(backends);
      return row?.n === MAX_CONNECTIONS;
    });
  });

  await t.step("PostgresConnectionManager succeeds soon after each restart, after every fault", () => {
    assert(storm.counts.size === 11, [...storm.counts.keys()].join());
    for (const { successMs, newcomerMs } of storm.recoveries) {
      // Far below the 60 s for which logins may be refused.
      assert(successMs < 10_000 + newcomerMs, `${successMs} ms, a newcomer's after ${newcomerMs} ms`);
    }
  });
});
