import { assert, assertEquals, assertRejects } from "@std/assert";
import { CommitOutcomeUnknownError, PostgresError } from "../../../shared/postgres/mod.ts";
import { ServiceError } from "../../../shared/mod.ts";
import { claimsOf, thrownBy } from "../support.ts";
import { Money, type Owner } from "./money.ts";
import { type TransferOrder, TransferService } from "../../../functions/_app/transfer_service.ts";

function order({ categoryIds }: Owner, amount: number, from = 0, to = 1, key: string = crypto.randomUUID()) {
  const [fromCategoryId = "", toCategoryId = ""] = [categoryIds[from], categoryIds[to]];
  return { fromCategoryId, toCategoryId, amount, idempotencyKey: key };
}

async function refused(work: () => Promise<unknown>): Promise<[string, number]> {
  const { code, status } = await thrownBy(work, ServiceError);
  return [code, status];
}

Deno.test("TransferService", async (t) => {
  await using money = await Money.start();
  const manager = money.database.manager({ maxConnections: 8 }, "authenticator");
  const serviceOf = (owner: Owner) => new TransferService(manager.as(owner.claims));

  await t.step("transfer() moves money from one category to the other", async () => {
    const owner = await money.owner(1_000, 50);
    const service = serviceOf(owner);
    const sent = order(owner, 300);
    const { transfer, replayed } = await service.transfer(sent);
    assertEquals(replayed, false);
    assertEquals(transfer.amount, 300);
    assertEquals([transfer.from_category_id, transfer.to_category_id], [sent.fromCategoryId, sent.toCategoryId]);
    assertEquals(transfer.budget_id, owner.budgetId);
    assert(Math.abs(Date.parse(transfer.created_at) - Date.now()) < 60_000);
    assertEquals(await money.balances(owner.categoryIds), [700, 350]);
    assertEquals(await service.getTransfer(transfer.id), transfer);
  });

  await t.step("transfer() carries one key out once", async () => {
    const owner = await money.owner(1_000, 0);
    const sent = order(owner, 400);
    const service = serviceOf(owner);
    const outcomes = await Promise.all(Array.from({ length: 20 }, () => service.transfer(sent)));
    assertEquals(new Set(outcomes.map(({ transfer }) => transfer.id)).size, 1);
    assertEquals(outcomes.filter(({ replayed }) => !replayed).length, 1);
    // It is replayed even when there is too little money for another one.
    await service.transfer(order(owner, 600));
    assertEquals((await service.transfer(sent)).replayed, true);
    assertEquals(await money.balances(owner.categoryIds), [0, 1_000]);
    assertEquals(await money.transfers(owner.budgetId), 2);
  });

  await t.step("transfer() rejects a key that was used for another order of the same caller", async () => {
    const [owner, other] = [await money.owner(1_000, 0), await money.owner(1_000, 0)];
    const sent = order(owner, 10);
    await serviceOf(owner).transfer(sent);
    for (const changed of [{ amount: 11 }, { fromCategoryId: sent.toCategoryId, toCategoryId: sent.fromCategoryId }]) {
      const again = () => serviceOf(owner).transfer({ ...sent, ...changed });
      assertEquals(await refused(again), ["IDEMPOTENCY_KEY_REUSED", 422]);
    }
    await serviceOf(other).transfer(order(other, 10, 0, 1, sent.idempotencyKey));
    assertEquals(await money.balances([...owner.categoryIds, ...other.categoryIds]), [990, 10, 990, 10]);
  });

  await t.step("transfer() leaves nothing of a rejected order, its key included", async () => {
    const owner = await money.owner(100, Number.MAX_SAFE_INTEGER - 50);
    const service = serviceOf(owner);
    const sent = order(owner, 101);
    assertEquals(await refused(() => service.transfer(sent)), ["INSUFFICIENT_BALANCE", 409]);
    assertEquals(await refused(() => service.transfer(order(owner, 51))), ["BALANCE_TOO_LARGE", 409]);
    assertEquals(await money.balances(owner.categoryIds), [100, Number.MAX_SAFE_INTEGER - 50]);
    assertEquals(await money.transfers(owner.budgetId), 0);
    const { replayed } = await service.transfer({ ...sent, amount: 50 });
    assertEquals(replayed, false);
  });

  await t.step("transfer() and getTransfer() see and move nothing of another caller", async () => {
    const [owner, thief] = [await money.owner(500, 0), await money.owner(0, 0)];
    const service = serviceOf(thief);
    assertEquals(await refused(() => service.transfer(order(owner, 1))), ["NOT_FOUND", 404]);
    const [loot = ""] = thief.categoryIds;
    assertEquals(await refused(() => service.transfer({ ...order(owner, 1), toCategoryId: loot })), ["NOT_FOUND", 404]);
    const { transfer } = await serviceOf(owner).transfer(order(owner, 1));
    assertEquals(await refused(() => service.getTransfer(transfer.id)), ["NOT_FOUND", 404]);
    const anonymous = new TransferService(manager.as("anonymous"));
    assertEquals((await thrownBy(() => anonymous.transfer(order(owner, 1)), Error) as ServiceError).code, "42501");
    const stranger = new TransferService(manager.as(claimsOf(crypto.randomUUID())));
    assertEquals(await refused(() => stranger.transfer(order(owner, 1))), ["NOT_FOUND", 404]);
    assertEquals(await money.balances(owner.categoryIds), [499, 1]);
  });

  await t.step("transfer() rejects categories of different budgets", async () => {
    const owner = await money.owner(500);
    const { rows: [row] } = await money.auditor.query<{ id: string }>(
      "insert into public.categories (budget_id, user_id, name) " +
        "select id, user_id, 'elsewhere' from public.budgets where id = $1 returning id",
      [owner.budgetId],
    );
    await money.auditor.transaction(async (tx) => {
      await tx.query(
        "with made as (insert into public.budgets (user_id, name, currency) select user_id, 'Holidays', 'JPY' " +
          "from public.budgets where id = $1 returning id) update public.categories set budget_id = made.id " +
          "from made where categories.id = $2",
        [owner.budgetId, row?.id],
      );
    });
    const sent = { ...order(owner, 1), toCategoryId: row?.id ?? "" };
    assertEquals(await refused(() => serviceOf(owner).transfer(sent)), ["DIFFERENT_BUDGETS", 409]);
    assertEquals(await money.balances(owner.categoryIds), [500]);
  });

  await t.step("transfer() loses no cent in concurrent transfers", async () => {
    const owner = await money.owner(30, 30, 30);
    const service = serviceOf(owner);
    const expected = [30, 30, 30];
    // Some find too little: which ones is a matter of chance, and none of them may leave a trace.
    await Promise.all(Array.from({ length: 300 }, async (_, index) => {
      const [from, to] = [index % 3, (index + 1 + index % 2) % 3];
      const amount = 1 + index % 7;
      try {
        await service.transfer(order(owner, amount, from, to));
      } catch (error) {
        assertEquals((error as ServiceError).code, "INSUFFICIENT_BALANCE");
        return;
      }
      expected[from] = (expected[from] ?? 0) - amount;
      expected[to] = (expected[to] ?? 0) + amount;
    }));
    const balances = await money.balances(owner.categoryIds);
    assertEquals(balances, expected);
    assertEquals(balances.reduce((sum, balance) => sum + balance), 90);
  });

  await t.step("transfer() gives the last cent to one of two", async () => {
    for (let round = 0; round < 20; round++) {
      const owner = await money.owner(10, 0, 0);
      const service = serviceOf(owner);
      const both = await Promise.allSettled([
        service.transfer(order(owner, 10, 0, 1)),
        service.transfer(order(owner, 10, 0, 2)),
      ]);
      const lost = both.flatMap((each) => each.status === "rejected" ? [Reflect.get(each.reason, "code")] : []);
      assertEquals(lost, ["INSUFFICIENT_BALANCE"]);
      assertEquals((await money.balances(owner.categoryIds)).toSorted((a, b) => a - b), [0, 0, 10]);
    }
  });

  await t.step(
    "TransferService.transfer() replays after a COMMIT without a response, and reports it without retries",
    async () => {
      const owner = await money.owner(100, 0);
      const pool = manager.as(owner.claims);
      let commits = 0;
      const lease = pool.lease.bind(pool);
      // Commits, and reports the first commit as lost.
      pool.lease = async (options) => {
        const connection = await lease(options);
        const transaction = connection.transaction.bind(connection);
        connection.transaction = async (work, options) => {
          const result = await transaction(work, options);
          if (commits++ === 0) throw new CommitOutcomeUnknownError(new Error("the network broke"));
          return result;
        };
        return connection;
      };
      const service = new TransferService(pool, { retryDelayMs: 1 });
      assertEquals([(await service.transfer(order(owner, 100))).replayed, commits], [true, 2]);
      assertEquals(await money.balances(owner.categoryIds), [0, 100]);
      commits = 0;
      const withoutRetries = new TransferService(pool, { retries: 0 });
      const sent: TransferOrder = order(owner, 100, 1, 0);
      await assertRejects(() => withoutRetries.transfer(sent), CommitOutcomeUnknownError);
      assertEquals((await withoutRetries.transfer(sent)).replayed, true);
    },
  );

  await t.step("TransferService.transfer() makes at most retries + 1 attempts in all", async () => {
    const owner = await money.owner(1_000, 0);
    // A sequence keeps its value when its transaction is rolled back.
    await money.auditor.query("create sequence public.attempts");
    await money.auditor.query("grant usage on sequence public.attempts to authenticated");
    const script = [
      "create function public.fail_to_serialize() returns trigger language plpgsql as $$ begin",
      "perform nextval('public.attempts'); raise serialization_failure; end $$",
    ];
    await money.auditor.query(script.join(" "));
    await money.auditor.query(
      "create trigger fail before insert on public.transfers for each row when (new.amount = 13) " +
        "execute function public.fail_to_serialize()",
    );
    for (const retries of [0, 3]) {
      await money.auditor.query("alter sequence public.attempts restart");
      const service = new TransferService(manager.as(owner.claims), { retries, retryDelayMs: 1 });
      const error = await thrownBy(() => service.transfer(order(owner, 13)), PostgresError);
      const { rows: [row] } = await money.auditor.query<{ n: string }>("select last_value as n from public.attempts");
      assertEquals([error.code, Number(row?.n)], ["40001", retries + 1]);
    }
    await money.auditor.query("drop trigger fail on public.transfers");
    assertEquals(await money.balances(owner.categoryIds), [1_000, 0]);
  });

  await t.step("transfer() works with the login role that the documentation creates", async () => {
    const owner = await money.owner(10, 0);
    const asOwner = money.database.manager({}, "postgres");
    await asOwner.query("create role edge_functions login noinherit password 'correct-horse-battery'");
    await asOwner.query("grant anon, authenticated to edge_functions");
    const login = money.database.manager({ user: "edge_functions", password: "correct-horse-battery" });
    await new TransferService(login.as(owner.claims)).transfer(order(owner, 10));
    assertEquals(await money.balances(owner.categoryIds), [0, 10]);
    const error = await thrownBy(() => login.query("select from public.transfers"), PostgresError);
    assertEquals(error.code, "42501");
  });

  await t.step("transfer() moves nothing after an abort, and delays no other", async () => {
    const owner = await money.owner(100, 0);
    const held = await money.auditor.lease();
    await held.query("begin");
    await held.query("select from public.categories where id = $1 for update", [owner.categoryIds[0]]);
    const abort = new AbortController();
    const giveUp = new Error("gone");
    const waiting = serviceOf(owner).transfer(order(owner, 1), abort.signal);
    setTimeout(() => abort.abort(giveUp), 30);
    assertEquals(await thrownBy(() => waiting, Error), giveUp);
    const slow = new TransferService(manager.as(owner.claims), { timeoutMs: 50, retries: 0 });
    const error = await thrownBy(() => slow.transfer(order(owner, 1)), Error);
    assertEquals(Reflect.get(error, "code"), "TRANSACTION_TIMEOUT");
    await held.query("rollback");
    held.release();
    await serviceOf(owner).transfer(order(owner, 7));
    assertEquals(await money.balances(owner.categoryIds), [93, 7]);
    assertEquals(manager.getStats().activeConnections, 0);
  });
});
