import { assert, assertEquals, assertLess, assertRejects } from "@std/assert";
import { NoPrimaryError, type PostgresReplicas } from "../../../shared/data/mod.ts";
import { ConnectionMonitor } from "../../../shared/observability/mod.ts";
import { classifyPostgresFailure } from "../../../shared/postgres/mod.ts";
import { until } from "../../support/until.ts";
import { ReplicatedDatabase } from "../../postgres/replication.ts";
import { eventsOf, groupOn } from "./support.ts";

/** The checks that a scope reads what it has written: `REPLICA_CHECKS=10000` for the number to quote. */
const CHECKS = Number(Deno.env.get("REPLICA_CHECKS") ?? 1_000);

/** Callers at a time. */
const CALLERS = 16;

const COUNT = "select count(*)::int as n from notes where id = $1";

async function prepare(database: ReplicatedDatabase): Promise<void> {
  await database.sql(0, "create table notes (id int)");
  const exists = "select to_regclass('notes') is not null as there";
  for (const index of database.servers.keys()) {
    await until("the table is there", async () => (await database.sql(index, exists))[0]?.["there"] === true);
  }
}

/** The outcomes of a load: what its callers saw. */
interface Outcomes {
  readonly acknowledged: number[];
  readonly unknown: number[];
  readonly failed: number[];
  /** The checks in which a scope did not find what it had written. */
  readonly missing: number[];
  checks: number;
  /** The failures of reads, with their times. */
  readonly failedReads: { readonly at: number; readonly error: unknown }[];
  /** The end of each read, and its duration, in ms. */
  readonly reads: { readonly at: number; readonly ms: number }[];
}

/** Callers who write, read what they wrote, and read, until `stop` is true. */
function startLoad(group: PostgresReplicas, stop: (outcomes: Outcomes) => boolean): Promise<Outcomes> {
  const outcomes: Outcomes = {
    acknowledged: [],
    unknown: [],
    failed: [],
    missing: [],
    checks: 0,
    failedReads: [],
    reads: [],
  };
  let nextId = 0;
  const read = async (scope: Pick<PostgresReplicas, "query">, id: number): Promise<number | undefined> => {
    const startedAt = performance.now();
    try {
      const { rows } = await scope.query<{ n: number }>(COUNT, [id], { readOnly: true });
      return rows[0]?.n;
    } catch (error) {
      outcomes.failedReads.push({ at: performance.now(), error });
      return undefined;
    } finally {
      outcomes.reads.push({ at: performance.now(), ms: performance.now() - startedAt });
    }
  };
  const call = async () => {
    while (!stop(outcomes)) {
      const scope = group.scope();
      const id = ++nextId;
      try {
        const insert = "insert into notes values ($1)";
        if (id % 3 === 0) await scope.transaction((tx) => tx.query(insert, [id]));
        else if (id % 3 === 1) await scope.transaction([{ query: insert, values: [id] }]);
        else await scope.query(insert, [id]);
        outcomes.acknowledged.push(id);
      } catch (error) {
        (classifyPostgresFailure(error) === "ambiguous" ? outcomes.unknown : outcomes.failed).push(id);
        continue;
      }
      for (let again = 0; again < 3; again++) {
        const found = await read(scope, id);
        if (found === undefined) continue;
        outcomes.checks++;
        if (found !== 1) outcomes.missing.push(id);
      }
      await read(group.scope(), id);
    }
  };
  return Promise.all(Array.from({ length: CALLERS }, call)).then(() => outcomes);
}

/** Checks that nothing was lost or doubled, by what a server has in the end. */
async function assertExact(database: ReplicatedDatabase, index: number, outcomes: Outcomes): Promise<void> {
  const rows = await database.sql(index, "select id, count(*)::int as n from notes group by id");
  const counts = new Map(rows.map(({ id, n }) => [id, n]));
  assertEquals(outcomes.acknowledged.filter((id) => counts.get(id) !== 1), [], "acknowledged, and lost or doubled");
  assertEquals(outcomes.unknown.filter((id) => Number(counts.get(id) ?? 0) > 1), [], "doubled");
  assertEquals(outcomes.failed.filter((id) => counts.has(id)), [], "failed, and there");
}

Deno.test(`PostgresReplicas shows a scope what it has written, in ${CHECKS} checks under load`, async () => {
  await using database = await ReplicatedDatabase.start();
  await prepare(database);
  await using group = groupOn(database);
  const outcomes = await startLoad(group, ({ checks }) => checks >= CHECKS);
  assertEquals(outcomes.missing, []);
  assertEquals(outcomes.failedReads, []);
  assert(group.getTargets().every(({ reads }) => reads > CHECKS / 10), JSON.stringify(group.getTargets()));
  await assertExact(database, 0, outcomes);
});

Deno.test("PostgresReplicas follows a failover under load: no failed read, no write lost, doubled or sent to a standby", async () => {
  await using database = await ReplicatedDatabase.start();
  await prepare(database);
  await database.synchronous();
  await using group = groupOn(database);
  const events = eventsOf(group);
  let stop = false;
  const load = startLoad(group, () => stop);
  await until("the load runs", () => (group.getTargets()[0]?.writes ?? 0) > 200);
  await database.servers[0]?.kill();
  const killedAt = performance.now();
  await database.promote(1);
  const promotedAt = performance.now();
  const written = () => group.query("insert into notes values (0)").then(() => true);
  await until("a write succeeds", written);
  const recoveredMs = performance.now() - promotedAt;
  const writes = group.getTargets()[1]?.writes ?? 0;
  await until("the load goes on", () => (group.getTargets()[1]?.writes ?? 0) > writes + 200);
  stop = true;
  const outcomes = await load;
  console.log(
    `killed to promoted ${Math.round(promotedAt - killedAt)} ms, promoted to write ${Math.round(recoveredMs)} ms, ` +
      `${outcomes.checks} checks, ${outcomes.acknowledged.length} acknowledged, ${outcomes.unknown.length} unknown, ` +
      `${outcomes.failed.length} failed, slowest read ${
        Math.round(Math.max(...outcomes.reads.map(({ ms }) => ms)))
      } ms`,
  );
  assertLess(recoveredMs, 1_000);
  assertEquals(outcomes.failedReads.map(({ at, error }) => [at - promotedAt, error]), []);
  assertEquals(outcomes.missing, []);
  await assertExact(database, 1, outcomes);
  assertEquals(database.errors[1]?.filter((line) => /read-only|recovery/.test(line)), []);
  assert(events.includes('primaryChanged {"to":"b","timeline":2}'), events.join("\n"));
  assert(events.includes('targetDown {"target":"a"}'), events.join("\n"));
});

Deno.test("PostgresReplicas does not use a stale primary that comes back", async () => {
  await using database = await ReplicatedDatabase.start();
  await prepare(database);
  await using group = groupOn(database, { checkIntervalMs: 50, failoverTimeoutMs: 300 });
  const events = eventsOf(group);
  await group.query("insert into notes values (1)");
  await database.servers[0]?.kill();
  await database.promote(1);
  await until("writes go to b", () => group.query("insert into notes values (2)").then(() => true, () => false));
  await database.servers[0]?.start();
  await until("it is seen", () => events.includes('splitBrain {"kept":"b","ignored":["a"]}'));
  for (let id = 10; id < 30; id++) {
    await group.query("insert into notes values ($1)", [id]);
    assertEquals((await group.scope().query(COUNT, [id], { readOnly: true })).rows, [{ n: 1 }]);
  }
  assertEquals((await database.sql(0, "select count(*)::int as n from notes where id >= 10"))[0]?.["n"], 0);
  await using fresh = groupOn(database);
  await fresh.query("insert into notes values (40)");
  assertEquals((await database.sql(1, "select count(*)::int as n from notes where id = 40"))[0]?.["n"], 1);
  // Alone, it is still known to be stale.
  await database.servers[1]?.kill();
  await assertRejects(() => group.query("insert into notes values (50)"), NoPrimaryError);
  assertEquals((await database.sql(0, "select count(*)::int as n from notes where id >= 10"))[0]?.["n"], 0);
});

Deno.test("PostgresReplicas sends a write that waits for a connection to the new primary, though the old one goes on", async () => {
  await using database = await ReplicatedDatabase.start();
  await prepare(database);
  await using group = groupOn(database, { checkIntervalMs: 50, common: { minConnections: 0, maxConnections: 1 } });
  await group.query("insert into notes values (1)");
  const connection = await group.lease();
  const waiting = group.query("insert into notes values (2)");
  await until("it waits", () => group.manager("a")?.waitingCount === 1);
  await database.promote(1);
  await until("b is the primary", () => group.getTargets()[1]?.isPrimary === true);
  connection.release();
  await waiting;
  const count = "select count(*)::int as n from notes where id = 2";
  assertEquals([(await database.sql(0, count))[0]?.["n"], (await database.sql(1, count))[0]?.["n"]], [0, 1]);
});

Deno.test("PostgresReplicas follows a switchover, and reads from the old primary as a standby", async () => {
  await using database = await ReplicatedDatabase.start();
  await prepare(database);
  await using group = groupOn(database, { checkIntervalMs: 50, reads: "standbys" });
  const events = eventsOf(group);
  const monitor = new ConnectionMonitor({ services: { postgres: group } });
  const failovers: string[] = [];
  monitor.on("failover", (service, from, to) => failovers.push(`${service} failover from ${from} to ${to}`));
  monitor.start();
  using _monitor = { [Symbol.dispose]: () => monitor.stop() };
  await group.query("insert into notes values (1)");
  assertEquals([group.totalCount > 0, group.waitingCount], [true, 0]);
  await database.servers[0]?.stop();
  await database.promote(1);
  await database.startAsStandbyOf(0, 1);
  await group.query("insert into notes values (2)");
  await until("a is a standby", () => events.includes('roleChanged {"target":"a","from":"primary","to":"standby"}'));
  assertEquals(failovers, ["postgres failover from a to b"]);
  const { port } = database.options(0);
  const where = "select current_setting('port')::int as port, (select count(*)::int from notes where id = 3) as n";
  const scope = group.scope();
  await scope.query("insert into notes values (3)");
  await until(
    "a serves what was written on b",
    async () => {
      const { rows } = await scope.query(where, [], { readOnly: true });
      assertEquals(rows[0]?.["n"], 1);
      return rows[0]?.["port"] === port;
    },
    30_000,
    20,
  );
  assertEquals(database.errors[0]?.filter((line) => /read-only|during recovery/.test(line)), []);
});

Deno.test("PostgresReplicas goes on reading while a standby hangs, and uses it again", async () => {
  await using database = await ReplicatedDatabase.start();
  await prepare(database);
  await using group = groupOn(database, { checkIntervalMs: 200, checkTimeoutMs: 300 });
  const events = eventsOf(group);
  let stop = false;
  const load = startLoad(group, () => stop);
  await until("the load runs", () => (group.getTargets()[1]?.reads ?? 0) > 100);
  {
    using _paused = database.pause(1);
    await until("b is down", () => events.includes('targetDown {"target":"b"}'));
    const writes = group.getTargets()[0]?.writes ?? 0;
    await until("the load goes on", () => (group.getTargets()[0]?.writes ?? 0) > writes + 100);
  }
  await until("b is back", () => events.includes('targetUp {"target":"b"}'));
  const reads = group.getTargets()[1]?.reads ?? 0;
  await until("b is read from", () => (group.getTargets()[1]?.reads ?? 0) > reads + 20);
  stop = true;
  const outcomes = await load;
  assertEquals([outcomes.missing, outcomes.failedReads, outcomes.unknown, outcomes.failed], [[], [], [], []]);
  await assertExact(database, 0, outcomes);
});

Deno.test("PostgresReplicas runs a read again on the primary that its standby canceled in favor of recovery", async () => {
  const standbySettings = { max_standby_streaming_delay: "0" };
  await using database = await ReplicatedDatabase.start({ standbySettings });
  await prepare(database);
  await using group = groupOn(database, { reads: "standbys" });
  await group.query("insert into notes select generate_series(1, 100)");
  await until(
    "the standby has it",
    async () => (await database.sql(1, "select count(*)::int as n from notes"))[0]?.["n"] === 100,
  );
  const slow = "select current_setting('port')::int as port, count(*)::int as n from notes, pg_sleep(1)";
  let runs = 0;
  const work = async (tx: { query: PostgresReplicas["query"] }) => {
    runs++;
    return (await tx.query(slow)).rows;
  };
  const statement = group.scope().query(slow, [], { readOnly: true });
  const list = group.scope().transaction([{ query: slow }], { readOnly: true });
  const inFunction = group.scope().transaction(work as never, { readOnly: true });
  const once = assertRejects(
    () => group.scope().transaction(work as never, { readOnly: true, retries: 0 }),
    Error,
    "conflict with recovery",
  );
  const running =
    "select count(*)::int as n from pg_stat_activity where query like '%pg_sleep(1)%' and state = 'active' and pid <> pg_backend_pid()";
  await until("they run", async () => (await database.sql(1, running))[0]?.["n"] === 4, 5_000, 10);
  await database.sql(0, "delete from notes");
  await database.sql(0, "vacuum (freeze) notes");
  const row = { port: database.options(0).port, n: 0 };
  assertEquals((await statement).rows, [row]);
  assertEquals((await list)[0]?.rows, [row]);
  assertEquals(await inFunction as unknown, [row]);
  await once;
  assertEquals(runs, 3);
});
