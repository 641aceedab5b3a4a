import { assert, assertEquals, assertInstanceOf, assertStrictEquals, assertStringIncludes } from "@std/assert";
import { parsePostgresConfig, PostgresError, StatementError } from "../../shared/postgres/mod.ts";
import { driverOptions } from "../../shared/postgres/connection/connection_factory.ts";
import { BackendConnection } from "../../shared/postgres/connection/backend_connection.ts";
import { StatementRunner } from "../../shared/postgres/query/statement_runner.ts";
import { MessageWriter } from "../../shared/postgres/wire/message_writer.ts";
import { runPipelinedTransaction } from "../../shared/postgres/transaction/pipelined.ts";
import { Deadlines, systemClock } from "../../shared/resilience/mod.ts";
import { open, rows } from "./opened_connection.ts";
import { TestDatabase, thrownBy } from "./support.ts";

const PREPARED = "select count(*)::int as n from pg_prepared_statements";

Deno.test("BackendConnection", async (t) => {
  await using database = await TestDatabase.start();
  await using opened = await open(database);
  const { connection } = opened;
  await connection.run([{ text: "create table step (n int)" }]);

  await t.step("start() closes what was forgotten before the server had parsed it", async () => {
    const [before] = await rows(connection, PREPARED);
    for (let round = 0; round < 10; round++) {
      const unparsed = connection.start([{ text: `select ${round} as round` }]);
      // As a statement on another connection does that defines something.
      connection.schema.changed();
      const next = connection.start([{ text: PREPARED }]);
      assertEquals((await unparsed.results)[0]?.rows, [{ round }]);
      await next.results;
    }
    await connection.run([{ text: "select 1 as last" }]);
    assertEquals(await rows(connection, PREPARED, []), [{ n: Number(Reflect.get(before ?? {}, "n")) + 1 }]);
    assertEquals(connection.statements.kept, Number(Reflect.get(before ?? {}, "n")) + 1);
  });

  await t.step("start() runs nothing behind the first statement that fails, and keeps no effect", async () => {
    const runner = new StatementRunner(connection, {
      clock: systemClock,
      deadlines: new Deadlines(systemClock),
      cancelTimeoutMs: 1_000,
      requestCancel: () => ({ passedOn: Promise.resolve(true), abort: () => {} }),
    });
    const begin = [
      { text: "begin" },
      { text: "select set_config('request.jwt.claims', '{}', true)" },
      { text: "select set_config('role', 'anon', true), nextval('behind')" },
    ];
    const statements = [{ text: "reset role" }, { text: "insert into step values (1)" }];
    await connection.run([{ text: "create sequence behind" }, { text: "grant all on sequence behind to public" }]);
    for (let failing = 0; failing < begin.length + statements.length; failing++) {
      for (const broken of ["select 1 / 0", "syntax error", "select $1::int"]) {
        const fail = (list: { text: string }[], from: number) =>
          list.map((statement, index) => from + index === failing ? { text: broken } : statement);
        const end = await runPipelinedTransaction(runner, fail(begin, 0), fail(statements, begin.length), {
          timeoutMs: Infinity,
        });
        assertEquals(end.outcome, "rolledBack");
        assertInstanceOf(end.error, Error);
        await connection.reset();
        assertEquals(connection.status, "idle");
        assertEquals(await rows(connection, "select n from step"), [], `${broken} at ${failing}`);
        const [seen] = await rows(connection, "select is_called from behind");
        // Nothing behind the failing step ran, not even what a rollback does not undo.
        assertEquals(seen, { is_called: failing > 2 }, `${broken} at ${failing}`);
        await connection.run([{ text: "alter sequence behind restart" }]);
      }
    }
    const end = await runPipelinedTransaction(runner, begin, statements, { timeoutMs: Infinity });
    assertEquals([end.outcome, end.results.map(({ command }) => command)], ["committed", ["RESET", "INSERT"]]);
  });

  await t.step("run() sends statements at once and resolves each with its own response", async () => {
    const answers = await Promise.allSettled([
      rows(connection, "select 1 as n"),
      rows(connection, "select 1 / 0"),
      rows(connection, "select $1::int as n", [3]),
      rows(connection, "nonsense"),
      rows(connection, "select 5 as n"),
    ]);
    assertEquals(
      answers.map((answer) => answer.status === "fulfilled" ? answer.value : answer.reason.code),
      [[{ n: 1 }], "22012", [{ n: 3 }], "42601", [{ n: 5 }]],
    );
  });

  await t.step("run() prepares a failed statement again, and leaves nothing prepared at the server", async () => {
    await using other = await open(database);
    for (let time = 0; time < 20; time++) {
      await thrownBy(() => other.connection.run([{ text: "select 1 / $1::int", values: [0] }]), PostgresError);
      await thrownBy(() => other.connection.run([{ text: `select ${time} from nowhere` }]), PostgresError);
    }
    assertEquals(await rows(other.connection, "select 1 / $1::int as n", [1]), [{ n: 1 }]);
    assertEquals(await rows(other.connection, PREPARED), [{ n: 2 }]);
  });

  await t.step("enableSessionState() limits the statements that stay prepared", async () => {
    await using other = await open(database, 3);
    for (let n = 0; n < 10; n++) assertEquals(await rows(other.connection, `select ${n} as n`), [{ n }]);
    const [{ n }] = await rows(other.connection, PREPARED) as [{ n: number }];
    // One that has just been given up is closed together with what is sent next.
    assert(n <= 4, `${n} are prepared`);
    assertEquals(await rows(other.connection, PREPARED), [{ n: 3 }]);
    await using none = await open(database, 0);
    for (let n = 0; n < 3; n++) assertEquals(await rows(none.connection, "select $1::int as n", [n]), [{ n }]);
    assertEquals(await rows(none.connection, PREPARED), [{ n: 0 }]);
  });

  await t.step("run() resends a statement after its table changed, and after its preparation was lost", async () => {
    await connection.run([{ text: "create table changing (n int)" }]);
    const read = () => rows(connection, "select * from changing");
    assertEquals([await read(), await read()], [[], []]);
    await connection.run([{ text: "alter table changing add column m int default 7" }]);
    await connection.run([{ text: "insert into changing values (1)" }]);
    assertEquals(await read(), [{ n: 1, m: 7 }]);
    await connection.run([{ text: "deallocate all" }]);
    assertEquals(await read(), [{ n: 1, m: 7 }]);
    assertEquals(await read(), [{ n: 1, m: 7 }]);
    // The server keeps what type a parameter was taken for.
    const write = () => rows(connection, "insert into changing (n) values ($1) returning n", ["1"]);
    const find = () => rows(connection, "select n from changing where n = $1", ["1"]);
    await connection.run([{ text: "alter table changing alter column n type text" }]);
    assertEquals([await write(), await find()], [[{ n: "1" }], [{ n: "1" }, { n: "1" }]]);
    await connection.run([{ text: "alter table changing alter column n type int using n::int" }]);
    assertEquals([await write(), await find()], [[{ n: 1 }], [{ n: 1 }, { n: 1 }, { n: 1 }]]);
    await connection.run([{ text: "alter table changing alter column n type text" }]);
    assertEquals((await Promise.all([find(), find()])).map((found) => found.length), [3, 3]);
    assertEquals(await rows(connection, PREPARED), [{ n: connection.statements.kept }]);
    await connection.run([{ text: "alter table changing alter column n type int using n::int" }]);
    await connection.run([{ text: "delete from changing where ctid <> (select min(ctid) from changing)" }]);
    // In a transaction it cannot be sent again: the transaction has failed.
    await using other = await open(database);
    const readThere = () => rows(other.connection, "select * from changing");
    await readThere();
    await other.connection.run([{ text: "begin" }]);
    await connection.run([{ text: "alter table changing drop column m" }]);
    assertEquals((await thrownBy(readThere, PostgresError)).code, "0A000");
    await other.connection.run([{ text: "rollback" }]);
    assertEquals(await readThere(), [{ n: 1 }]);
  });

  await t.step(
    "run() does not resend a statement prepared by SQL that is gone or changed",
    async () => {
      await using other = await open(database);
      const codeOf = async (text: string) =>
        (await thrownBy(() => other.connection.run([{ text }]), PostgresError)).code;
      for (const text of ["execute gone", "deallocate gone"]) {
        assertEquals([await codeOf(text), await codeOf(text)], ["26000", "26000"]);
      }
      const known = { text: "execute mine" };
      await other.connection.run([{ text: "create table prepared_by_sql (n int)" }]);
      await other.connection.run([{ text: "prepare mine as select * from prepared_by_sql" }]);
      await other.connection.run([known]);
      await other.connection.run([{ text: "alter table prepared_by_sql add column m int" }]);
      assertEquals([await codeOf(known.text), await codeOf(known.text)], ["0A000", "0A000"]);
      await other.connection.run([{ text: "deallocate mine" }]);
      assertEquals(await codeOf(known.text), "26000");
      assertEquals(await rows(other.connection, "select 1 as n"), [{ n: 1 }]);
    },
  );

  await t.step("reset() is resent when a cancel request for another statement hits it", async () => {
    await using other = await open(database);
    await other.connection.run([{ text: "create temporary table mine (n int)" }]);
    const [{ table, pid }] = await rows(
      other.connection,
      "select nspname || '.mine' as table, pg_backend_pid() as pid from pg_namespace where oid = pg_my_temp_schema()",
    ) as [{ table: string; pid: number }];
    await using watcher = await open(database);
    const waits = "select from pg_stat_activity where pid = $1 and wait_event_type = 'Lock'";
    const waiting = async () => {
      while ((await rows(watcher.connection, waits, [pid])).length === 0) await Promise.resolve();
    };
    await connection.run([{ text: "begin" }]);
    await connection.run([{ text: `lock table ${table} in access share mode` }]);
    other.connection.beginCancel();
    const reset = other.connection.reset();
    await waiting();
    await connection.run([{ text: "select pg_cancel_backend($1)", values: [pid] }]);
    await connection.run([{ text: "commit" }]);
    await reset;
    other.connection.endCancel();
    assertEquals(other.deaths, []);
    assertEquals(await rows(other.connection, "select to_regclass('pg_temp.mine') as mine"), [{ mine: null }]);
    // One that is cancelled otherwise has not cleared it.
    await other.connection.run([{ text: "create temporary table mine (n int)" }]);
    await connection.run([{ text: "begin" }]);
    await connection.run([{ text: `lock table ${table} in access share mode` }]);
    const again = other.connection.reset();
    await waiting();
    await connection.run([{ text: "select pg_cancel_backend($1)", values: [pid] }]);
    await again;
    await connection.run([{ text: "commit" }]);
    assertEquals(other.deaths.length, 1);
  });

  await t.step("BackendConnection reports its death while idle, with the server's reason", async () => {
    await using victim = await open(database);
    const died = Promise.withResolvers<void>();
    const timer = setInterval(() => victim.deaths.length > 0 && died.resolve(), 5);
    await connection.run([{
      text: "select pg_terminate_backend($1)",
      values: [victim.connection.backendKey?.processId],
    }]);
    await died.promise;
    clearInterval(timer);
    assertEquals(victim.deaths.map((error) => (error as PostgresError).code), ["57P01"]);
    await victim.connection.reset();
  });

  await t.step("open() rejects a refused login with the reason and without the password", async () => {
    const attempt = (options: Record<string, unknown>) => {
      const config = parsePostgresConfig({ ...database.options(), ...options });
      return BackendConnection.open(driverOptions(config), systemClock, new AbortController().signal, { onDeath() {} });
    };
    const wrong = await thrownBy(() => attempt({ password: "hunter2" }), PostgresError);
    assertEquals(wrong.code, "28P01");
    assert(!Deno.inspect(wrong, { depth: 9 }).includes("hunter2"));
    assertEquals((await thrownBy(() => attempt({ database: "nowhere" }), PostgresError)).code, "3D000");
    const { code } = await thrownBy(() => attempt({ port: 1 }), Error) as PostgresError;
    assertEquals(code, "ECONNREFUSED");
    assertStringIncludes((await thrownBy(() => attempt({ ssl: true }), Error)).message, "SSL");
  });

  await t.step("open() rejects when its signal aborts before the server responds", async () => {
    using listener = Deno.listen({ hostname: "127.0.0.1", port: 0 });
    const accepted = listener.accept();
    const { port } = listener.addr as Deno.NetAddr;
    const options = driverOptions(parsePostgresConfig({ ...database.options(), port }));
    const error = new Error("given up");
    const given = new AbortController();
    const opening = BackendConnection.open(options, systemClock, given.signal, { onDeath() {} });
    opening.catch(() => {});
    using near = await accepted;
    given.abort(error);
    assertStrictEquals(await thrownBy(() => opening, Error), error);
    // Ours is closed: the far side reads to the end.
    const buffer = new Uint8Array(1_024);
    for (let n: number | null = 0; n !== null;) n = await near.read(buffer).catch(() => null);
  });
});

Deno.test("start() counts as kept only what the server parsed, where a message could not be encoded", async () => {
  await using database = await TestDatabase.start();
  await using opened = await open(database);
  const { connection } = opened;
  const bind = MessageWriter.prototype.bind;
  // A statement of more than 1 GiB would do, and take its memory.
  MessageWriter.prototype.bind = function (name, values, formats) {
    if (!values.includes("too large")) return bind.call(this, name, values, formats);
    this.query("the beginning of a message");
    throw new StatementError("larger than 1 GiB");
  };
  try {
    const described = { text: "select $1::jsonb as j", values: [{ a: 1 }] };
    const tooLarge = { text: "select $1::text as t", values: ["too large"] };
    await thrownBy(() => connection.run([tooLarge]), StatementError);
    await thrownBy(() => connection.run([described, tooLarge]), StatementError);
    // A reset closes the connection where the server has other statements.
    await connection.reset();
    assertEquals(opened.deaths, []);
    assertEquals(await rows(connection, tooLarge.text, ["small"]), [{ t: "small" }]);
    assertEquals(await rows(connection, PREPARED), [{ n: connection.statements.kept }]);
  } finally {
    MessageWriter.prototype.bind = bind;
  }
});
