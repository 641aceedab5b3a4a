/** The function on a real Postgres, behind its handler. */
import { assert, assertEquals, assertStringIncludes } from "@std/assert";
import { createTransfersHandler } from "../../../functions/transfers/handler.ts";
import { type Fixture, startFunction } from "../../functions/fixture.ts";
import { sharedSecretToken } from "../../http/tokens.ts";
import { pause } from "../chaos/rig.ts";
import { Money, type Owner } from "./money.ts";

/** The function, with one connection to this database. */
async function start(money: Money): Promise<Fixture> {
  const { host, port, user = "", password } = money.database.options("authenticator");
  const login = { DB_HOST: host, DB_PORT: String(port), DB_NAME: "postgres", DB_USER: user, DB_PASSWORD: password };
  const fixture = await startFunction(({ variables, service }) => {
    if (typeof service !== "object") throw new Error("the fixture has pools");
    const all = { ...variables, ...login };
    return createTransfersHandler({ variables: all, service, postgres: { maxConnections: 1 } });
  });
  return {
    ...fixture,
    async [Symbol.asyncDispose]() {
      dispatchEvent(new CustomEvent("beforeunload", { detail: { reason: "early_drop" } }));
      await fixture[Symbol.asyncDispose]();
    },
  };
}

Deno.test("POST /transfers", async (t) => {
  await using money = await Money.start();
  await using transfers = await start(money);

  async function send(owner: Owner, amount: number, key: string = crypto.randomUUID(), signal?: AbortSignal) {
    const [from_category_id, to_category_id] = owner.categoryIds;
    return await transfers.ask("POST", "/transfers", {
      json: { from_category_id, to_category_id, amount },
      headers: {
        Authorization: `Bearer ${await sharedSecretToken({ sub: owner.claims.claims["sub"] })}`,
        "Idempotency-Key": key,
      },
      ...(signal ? { signal } : {}),
    });
  }

  /** Blocks transfers of that owner. */
  async function hold({ categoryIds }: Owner): Promise<() => Promise<void>> {
    const held = await money.auditor.lease();
    await held.query("begin");
    await held.query("select from public.categories where id = any($1::uuid[]) for update", [categoryIds]);
    return async () => {
      await held.query("rollback");
      held.release();
    };
  }

  /** Returns the number of transactions that wait for such a lock. */
  async function held(): Promise<number> {
    const text = "select from pg_stat_activity where usename = 'authenticator' and wait_event_type = 'Lock'";
    return (await money.auditor.query(text)).rows.length;
  }

  async function untilHeld(count: number): Promise<void> {
    for (let turn = 0; turn < 200; turn++) {
      if (await held() === count) return;
      await pause(10);
    }
    throw new Error(`never were there ${count} that wait for a lock`);
  }

  await t.step("POST /transfers reports its connections and its wait in headers", async () => {
    const owner = await money.owner(1_000, 0);
    const first = await send(owner, 1);
    assertEquals(first.status, 201);
    assertEquals(first.headers.get("X-Pool-Total-Connections"), "1");
    await first.body?.cancel();

    const letGo = await hold(owner);
    const holding = send(owner, 10);
    await untilHeld(1);
    const waiting = send(owner, 100);
    await pause(150);
    await letGo();
    const waitedMs = async (answer: Promise<Response>) => {
      const { status, headers, body } = await answer;
      await body?.cancel();
      assertEquals(status, 201);
      return Number(/^pool;dur=([\d.]+)/.exec(headers.get("Server-Timing") ?? "")?.[1]);
    };
    const [short, long] = [await waitedMs(holding), await waitedMs(waiting)];
    assert(short < long && long >= 100, `${short} ms, ${long} ms`);
    assertEquals(await money.balances(owner.categoryIds), [889, 111]);
  });

  await t.step("POST /transfers carries ten concurrent orders of one key out once", async () => {
    const owner = await money.owner(100, 0);
    const key = crypto.randomUUID();
    const answers = await Promise.all(Array.from({ length: 10 }, () => send(owner, 60, key)));
    const bodies = await Promise.all(answers.map((answer) => answer.json()));
    assertEquals(answers.map(({ status }) => status), Array(10).fill(201));
    assertEquals(new Set(bodies.map(({ id }) => id)).size, 1);
    assertEquals(answers.filter(({ headers }) => headers.get("Idempotent-Replayed") === null).length, 1);
    const replay = answers.find(({ headers }) => headers.has("Idempotent-Replayed"));
    assertStringIncludes(replay?.headers.get("Access-Control-Expose-Headers") ?? "", "Idempotent-Replayed");
    const other = await send(owner, 61, key);
    assertEquals([other.status, (await other.json()).code], [422, "IDEMPOTENCY_KEY_REUSED"]);
    assertEquals(await money.balances(owner.categoryIds), [40, 60]);
  });

  await t.step("POST /transfers moves nothing when the caller disconnects, and releases its connection", async () => {
    const owner = await money.owner(100, 0);
    const letGo = await hold(owner);
    const caller = new AbortController();
    const key = crypto.randomUUID();
    const left = send(owner, 10, key, caller.signal);
    await untilHeld(1);
    caller.abort();
    const answer = await left;
    await answer.body?.cancel();
    assertEquals(answer.status, 499);
    await untilHeld(0);
    await letGo();
    assertEquals(await money.balances(owner.categoryIds), [100, 0]);
    // What was not carried out may be sent again, under its key.
    const again = await send(owner, 20, key);
    await again.body?.cancel();
    assertEquals([again.status, again.headers.get("Idempotent-Replayed")], [201, null]);
    assertEquals(await money.balances(owner.categoryIds), [80, 20]);
  });

  await t.step("GET /transfers/health/pool checks the Postgres connections", async () => {
    const answer = await transfers.ask("GET", "/transfers/health/pool", { headers: { apikey: undefined } });
    const { status, details } = await answer.json();
    assertEquals([answer.status, status, details.stats.totalConnections], [200, "pass", 1]);
  });
});
