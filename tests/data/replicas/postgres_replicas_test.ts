import { assert, assertEquals, assertRejects, assertThrows } from "@std/assert";
import { ConfigError, PoolClosedError } from "../../../shared/pool/mod.ts";
import { PostgresReplicas, type ReplicasOptions } from "../../../shared/data/mod.ts";
import { NoPrimaryError } from "../../../shared/data/mod.ts";
import { until } from "../../support/until.ts";
import { ReplicatedDatabase } from "../../postgres/replication.ts";
import { eventsOf, groupOn } from "./support.ts";
import { claimsOf } from "../../postgres/support.ts";

/** The port of the server that runs a statement shows which one it is. */
const WHERE = "select current_setting('port')::int as port";

async function whereOf(
  run: () => Promise<{ readonly rows: readonly { readonly port?: unknown }[] }>,
): Promise<unknown> {
  return (await run()).rows[0]?.port;
}

async function known(group: PostgresReplicas, text: string): Promise<void> {
  await until(`it is known that ${text} reads`, async () => {
    await group.query(text);
    return group.manager("a")?.onlyReads(text) === true;
  });
}

Deno.test("PostgresReplicas throws ConfigError for bad options, without secrets", () => {
  const target = "postgres://user:hunter2@h:1/d";
  const cases: readonly (readonly [options: Record<string, unknown>, message: string])[] = [
    [{ targets: [] }, "with one at least"],
    [{ targets: [target, null] }, "targets.1"],
    [{ targets: [5] }, "must be a URL"],
    [{ targets: [[target]] }, "must be a URL"],
    [{ targets: [{ host: "h", name: 5 }] }, "must be a URL"],
    [{ targets: [target, target] }, "has the name of another target"],
    [{ targets: [target], reads: "all" }, "must be balanced or standbys"],
    [{ targets: [target], maxLagMs: -1 }, "whole number of ms"],
    [{ targets: [target], checks: 1 }, "unknown option"],
    [{ targets: [target], readYourWrites: 1 }, "true or false"],
    [{ targets: ["postgres://user:hunter2@a,b/d"] }, "several hosts"],
    [{ targets: [{ host: "h", max: -1 }] }, "maxConnections"],
  ];
  for (const [options, message] of cases) {
    const error = assertThrows(() => new PostgresReplicas(options as unknown as ReplicasOptions), ConfigError, message);
    assert(!error.message.includes("hunter2"));
  }
});

Deno.test("PostgresReplicas routes reads and writes by what they do", async (test) => {
  await using database = await ReplicatedDatabase.start();
  const [a, b] = [0, 1].map((index) => database.options(index).port);
  await database.sql(
    0,
    `
    create table notes (id serial primary key, text text);
    create function writes() returns int language sql volatile as 'insert into notes (text) values (''f'') returning id';
    create function reads() returns bigint language sql stable as 'select count(*) from notes';
    grant all on notes, notes_id_seq to public`,
  );
  await using group = groupOn(database, { reads: "standbys" });

  await test.step("the roles are found out at the first call", async () => {
    const events = eventsOf(group);
    assertEquals(await whereOf(() => group.query(WHERE)), a, "unknown statements run on the primary");
    assertEquals(group.getTargets().map(({ name, role, state, isPrimary }) => [name, role, state, isPrimary]), [
      ["a", "primary", "up", true],
      ["b", "standby", "up", false],
    ]);
    assert(events.includes('primaryChanged {"to":"a","timeline":1}'), events.join("\n"));
  });

  await test.step("what is known to read runs on the standby, and readOnly says so at once", async () => {
    await known(group, WHERE);
    assertEquals(await whereOf(() => group.scope().query(WHERE)), b);
    assertEquals(await whereOf(() => group.scope().query(WHERE, [], { readOnly: false })), a);
    assertEquals(await whereOf(() => group.scope().query(`${WHERE} /* new */`, [], { readOnly: true })), b);
    assertEquals((await group.scope().sql`select current_setting('port')::int as port`.first())?.["port"], b);
    assertEquals(
      await whereOf(async () => ({ rows: (await group.scope().transaction([{ query: WHERE }]))[0]?.rows ?? [] })),
      b,
    );
    assertEquals(await whereOf(() => group.scope().transaction((tx) => tx.query(WHERE), { readOnly: true })), b);
    assertEquals(await whereOf(() => group.scope().transaction((tx) => tx.query(WHERE))), a);
    const serializable = { readOnly: true, isolationLevel: "serializable" } as const;
    assertEquals(await whereOf(() => group.scope().transaction((tx) => tx.query(WHERE), serializable)), a);
    await using connection = await group.scope().lease();
    assertEquals(await whereOf(() => connection.query(WHERE)), a);
  });

  await test.step("as a caller too", async () => {
    await using asCaller = groupOn(database, { reads: "standbys" }, "authenticator");
    const caller = asCaller.as(claimsOf("7f1c0f3e-3b0a-4c3e-9d55-6f1a5c3b0001"));
    assertEquals(await whereOf(() => caller.query(WHERE, [], { readOnly: true })), b);
    const text = "select current_setting('port')::int as port, current_user::text as name";
    await known(asCaller, text);
    assertEquals((await caller.query(text)).rows, [{ port: b, name: "authenticated" }]);
    assertEquals((await caller.query(text, [], { readOnly: false })).rows, [{ port: a, name: "authenticated" }]);
    const { rows } = await caller.query(
      "insert into notes (text) values ('c') returning current_setting('port')::int as port",
    );
    assertEquals(rows, [{ port: a }]);
    assertEquals(
      (await caller.query("select count(*)::int as n from notes where text = 'c'", [], { readOnly: true })).rows,
      [{ n: 1 }],
    );
  });

  await test.step("what writes, locks, listens or leaves state runs on the primary", async () => {
    const scope = group.scope();
    const statements = [
      "insert into notes (text) values ('x')",
      "with added as (insert into notes (text) values ('y') returning id) select id from added",
      "select id from notes for update",
      "select id from notes for share",
      "select nextval('notes_id_seq')",
      "select pg_advisory_xact_lock(1)",
      "select set_config('app.x', '1', true)",
      "create temp table mine (id int)",
      "select writes()",
      "select txid_current()",
      "explain analyze select writes()",
      "set local work_mem = '4MB'",
      "do 'begin perform writes(); end'",
    ];
    for (let round = 0; round < 3; round++) {
      for (const text of statements) await scope.query(text);
      await new Promise((resolve) => setTimeout(resolve, 20));
    }
    await known(group, "select reads()");
    const reads = group.getTargets()[1]?.reads ?? 0;
    await group.scope().query("select reads()");
    assertEquals(group.getTargets()[1]?.reads, reads + 1);
  });

  await test.step("a write that its text hides is rejected by the standby, and runs on the primary", async () => {
    const before = (await database.sql(0, "select count(*)::int as n from notes"))[0]?.["n"] as number;
    // A read-only transaction of the primary rejects it as well.
    await assertRejects(() => group.scope().query("select writes()", [], { readOnly: true }), Error, "read-only");
    await group.scope().query("select writes()");
    assertEquals((await database.sql(0, "select count(*)::int as n from notes"))[0]?.["n"], before + 1);
  });

  await test.step("inside a transaction's function the group rejects what would run outside", async () => {
    for (const readOnly of [true, false]) {
      const error = await assertRejects(() => group.transaction(() => group.query("select 1"), { readOnly }), Error);
      assertEquals((error as { code?: string }).code, "OUTSIDE_TRANSACTION");
      await group.transaction((tx) => {
        assertEquals(group.currentTransaction(), tx);
        return group.query("select 1", [], { outsideTransaction: true });
      }, { readOnly });
    }
  });

  await test.step("options of the caller reach the call, and bad calls are rejected by name", async () => {
    const refusal = new Error("no");
    const admit = () => {
      throw refusal;
    };
    const positions: Promise<string | undefined>[] = [];
    const onWalPosition = (position: Promise<string | undefined>) => positions.push(position);
    await group.query("insert into notes (text) values ('p')", [], { onWalPosition });
    assert(/^[0-9A-F]+\/[0-9A-F]+$/.test(await positions[0] ?? ""));
    const write = "insert into notes (text) values ('q')";
    assertEquals(await assertRejects(() => group.query(write, [], { admit })), refusal);
    assertEquals(await assertRejects(() => group.query(WHERE, [], { admit, readOnly: true })), refusal);
    assertEquals(await assertRejects(() => group.transaction(() => 1, { admit, readOnly: true })), refusal);
    const invalid: unknown[] = [undefined, 1, "select 1", [null], [{}], [{ query: 1 }]];
    for (const list of invalid) {
      const error = await assertRejects(() => group.transaction(list as []), Error);
      assertEquals((error as { code?: string }).code, "STATEMENT_INVALID", JSON.stringify(list));
    }
    for (const text of [undefined, 1, "select \0"]) {
      const error = await assertRejects(() => group.query(text as string), Error);
      assertEquals((error as { code?: string }).code, "STATEMENT_INVALID");
    }
    assertEquals(group.getTargets().map(({ inFlight }) => inFlight), [0, 0]);
  });

  await test.step("values are those of the moment of the call", async () => {
    const values = ["before"];
    const inserting = group.query("insert into notes (text) values ($1) returning text", values);
    values[0] = "after";
    assertEquals((await inserting).rows, [{ text: "before" }]);
  });
});

Deno.test("PostgresReplicas shows a scope what it has written, though the standby lags", async (test) => {
  await using database = await ReplicatedDatabase.start();
  const [a, b] = [0, 1].map((index) => database.options(index).port);
  await database.sql(0, "create table notes (id int primary key)");
  await until(
    "the table is there",
    async () => (await database.sql(1, "select to_regclass('notes') as t"))[0]?.["t"] !== null,
  );
  await using group = groupOn(database, { reads: "standbys" });
  const read = (scope: Pick<PostgresReplicas, "query">, id: number) =>
    scope.query<{ port: number; found: boolean }>(
      "select current_setting('port')::int as port, exists (select from notes where id = $1) as found",
      [id],
      { readOnly: true },
    ).then(({ rows }) => rows[0]);

  await test.step("a paused replay sends it to the primary, and others to the standby", async () => {
    await database.sql(1, "select pg_wal_replay_pause()");
    const scope = group.scope();
    await scope.query("insert into notes values (1)");
    assertEquals(await read(scope, 1), { port: a, found: true });
    assertEquals(await read(group.scope(), 1), { port: b, found: false });
    const functions = group.scope();
    await functions.transaction((tx) => tx.query("insert into notes values (2)"));
    const inFunction = await functions.transaction(
      (tx) => tx.query("select current_setting('port')::int as port"),
      { readOnly: true },
    );
    assertEquals(inFunction.rows, [{ port: a }]);
    await database.sql(1, "select pg_wal_replay_resume()");
    await until("the standby serves the scope again", async () => (await read(scope, 1))?.port === b, 10_000, 20);
  });

  await test.step("a bounded wait lets the standby serve it", async () => {
    await using patient = groupOn(database, { reads: "standbys", replayWaitMs: 5_000 });
    await database.sql(1, "select pg_wal_replay_pause()");
    const scope = patient.scope();
    await scope.query("insert into notes values (3)");
    const reading = read(scope, 3);
    await database.sql(1, "select pg_wal_replay_resume()");
    assertEquals(await reading, { port: b, found: true });
    let id = 100;
    // What was looked at does not hold for a connection that is newer: then it runs on the primary.
    await until("it serves a function as well", async () => {
      await database.sql(1, "select pg_wal_replay_pause()");
      await scope.query("insert into notes values ($1)", [++id]);
      const inFunction = whereOf(() => scope.transaction((tx) => tx.query(WHERE), { readOnly: true }));
      await database.sql(1, "select pg_wal_replay_resume()");
      return await inFunction === b;
    });
  });

  await test.step("a lease of the scope makes it read on the primary", async () => {
    const scope = group.scope();
    await scope.lease().then((connection) => connection.release());
    assertEquals((await read(scope, 1))?.port, a);
  });

  await test.step("a standby that lags too far is not read from", async () => {
    await using strict = groupOn(database, { reads: "standbys", maxLagMs: 50, checkIntervalMs: 20 });
    assertEquals((await read(strict, 1))?.port, b);
    await database.sql(1, "select pg_wal_replay_pause()");
    await database.sql(0, "insert into notes values (4)");
    await until("it reads on the primary", async () => (await read(strict, 1))?.port === a, 10_000, 20);
    await database.sql(1, "select pg_wal_replay_resume()");
    await database.sql(0, "insert into notes values (5)");
    await until("it reads on the standby", async () => (await read(strict, 1))?.port === b, 10_000, 20);
  });
});

Deno.test("PostgresReplicas rejects writes without a primary, and still reads", async () => {
  await using database = await ReplicatedDatabase.start();
  await using group = groupOn(database, { failoverTimeoutMs: 300, checkIntervalMs: 50 });
  await group.query("select 1");
  await database.servers[0]?.kill();
  // A write on a connection that breaks is not one that was not sent.
  await until("it is known to be away", () => group.getTargets()[0]?.state !== "up");
  const error = await assertRejects(() => group.query("create table t (id int)"), NoPrimaryError);
  assertEquals(error.code, "NO_PRIMARY");
  assert(error.message.includes("a (down), b (standby)"), error.message);
  for (let read = 0; read < 10; read++) await group.scope().query("select 1", [], { readOnly: true });
  await database.servers[0]?.start();
  await until(
    "the primary is back",
    () => group.query("create table if not exists t (id int)").then(() => true, () => false),
  );
});

Deno.test("PostgresReplicas.shutdown() ends all waits, and rejects what comes later", async () => {
  const targets = [{ host: "127.0.0.1", port: 1, password: "x" }];
  const group = new PostgresReplicas({ targets, common: { minConnections: 0 } });
  const waiting = [group.query("insert into notes values (1)"), group.query("select 1", [], { readOnly: true })];
  const rejected = Promise.all(waiting.map((call) => assertRejects(() => call, PoolClosedError)));
  await new Promise((resolve) => setTimeout(resolve, 50));
  await group.shutdown(0);
  await rejected;
  await assertRejects(() => group.query("select 1"), PoolClosedError);
});
