import { assert, assertEquals, assertInstanceOf, assertStrictEquals, assertStringIncludes } from "@std/assert";
import {
  ConnectionBrokenError,
  ConnectionLostError,
  parsePostgresConfig,
  PostgresError,
  StatementError,
} from "../../shared/postgres/mod.ts";
import { driverOptions } from "../../shared/postgres/connection/connection_factory.ts";
import { BackendConnection } from "../../shared/postgres/connection/backend_connection.ts";
import { StatementRunner } from "../../shared/postgres/query/statement_runner.ts";
import { MessageWriter } from "../../shared/postgres/wire/message_writer.ts";
import { runPipelinedTransaction } from "../../shared/postgres/transaction/pipelined.ts";
import { Deadlines, systemClock } from "../../shared/resilience/mod.ts";
import { TestDatabase, thrownBy } from "./support.ts";

interface Opened extends AsyncDisposable {
  readonly connection: BackendConnection;
  readonly deaths: Error[];
}

async function open(database: TestDatabase, maxPreparedStatements = 100): Promise<Opened> {
  const deaths: Error[] = [];
  const options = driverOptions(parsePostgresConfig(database.options()));
  const connection = await BackendConnection.open(
    options,
    systemClock,
    new AbortController().signal,
    { onDeath: (reason) => deaths.push(reason) },
  );
  connection.enableSessionState(maxPreparedStatements, 1);
  return { connection, deaths, [Symbol.asyncDispose]: () => connection.close() };
}

async function rows(connection: BackendConnection, text: string, values: unknown[] = []): Promise<unknown[]> {
  const [result] = await connection.run([{ text, values }]);
  return result?.rows ?? [];
}

const PREPARED = "select count(*)::int as n from pg_prepared_statements";

Deno.test("BackendConnection", async (t) => {
  await using database = await TestDatabase.start();
  await using opened = await open(database);
  const { connection } = opened;
  await connection.run([{ text: "create table step (n int)" }]);

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

  await t.step("run() returns values as they were sent", async () => {
    const at = new Date("2026-02-03T04:05:06.789Z");
    const values = [
      1.5,
      true,
      null,
      undefined,
      "ü \"'\\",
      at,
      [1, null, 3],
      { a: [1, "x"] },
      new Uint8Array([0, 255]),
      9007199254740993n,
    ];
    const types = ["float8", "bool", "int", "text", "text", "timestamptz", "int[]", "jsonb", "bytea", "int8"];
    const text = `select ${types.map((type, index) => `$${index + 1}::${type} as v${index}`).join(", ")}`;
    const [row] = await rows(connection, text, values) as [Record<string, unknown>];
    const { v8: bytes, ...rest } = row;
    assertEquals([...bytes as Uint8Array], [0, 255]);
    assertEquals(Object.values(rest), [
      1.5,
      true,
      null,
      null,
      "ü \"'\\",
      at,
      [1, null, 3],
      { a: [1, "x"] },
      "9007199254740993",
    ]);
    assertEquals(
      await rows(
        connection,
        "select '0044-03-15 00:00:00+00 BC'::timestamptz as ides, 'infinity'::timestamptz as never",
      ),
      [
        { ides: new Date("-000043-03-15T00:00:00Z"), never: Infinity },
      ],
    );
  });

  await t.step("run() accepts any column name", async () => {
    const [row] = await rows(connection, `select 1 as "__proto__", 2 as "constructor", 3 as n`) as [
      Record<string, unknown>,
    ];
    assertEquals(Object.entries(row), [["__proto__", 1], ["constructor", 2], ["n", 3]]);
    assertEquals(Object.getPrototypeOf(row), Object.prototype);
  });

  await t.step("run() returns the last of several columns with one name, null or not", async () => {
    assertEquals(await rows(connection, "select 1 as id, null::int as id"), [{ id: null }]);
    assertEquals(await rows(connection, "select null::int as id, 2 as id, 'x' as name, 3 as id"), [{
      id: 3,
      name: "x",
    }]);
  });

  await t.step("run() returns command and rowCount", async () => {
    const commands = [
      "create table done (n int)",
      "insert into done values (1), (2)",
      "update done set n = 3",
      "delete from done",
      "drop table done",
      "",
    ];
    const results = await connection.run(commands.map((text) => ({ text })));
    assertEquals(results.map(({ command, rowCount }) => [command, rowCount]), [
      ["CREATE", null],
      ["INSERT", 2],
      ["UPDATE", 2],
      ["DELETE", 2],
      ["DROP", null],
      ["", null],
    ]);
    const [{ fields } = { fields: [] }] = await connection.run([{ text: "select 1 as a, 'x'::text as b where false" }]);
    assertEquals(fields, [{ name: "a", dataTypeID: 23 }, { name: "b", dataTypeID: 25 }]);
  });

  await t.step("start() rejects with StatementError what the protocol cannot carry", async () => {
    const circular: Record<string, unknown> = {};
    circular["self"] = circular;
    const bad = [
      { text: "select 1\0; drop table step" },
      { text: 5 as unknown as string },
      { text: "select $1::json", values: [circular] },
      { text: "select 1", values: new Array(65_536).fill(1) },
      { text: "select 1", values: "ab" as unknown as unknown[] },
    ];
    for (const statement of bad) {
      await thrownBy(() => connection.run([{ text: "insert into step values (2)" }, statement]), StatementError);
    }
    assertEquals(await rows(connection, "select n from step where n = 2"), []);
    const most = Array.from({ length: 65_535 }, (_, n) => n);
    assertEquals(await rows(connection, `select cardinality(array[${most.map((n) => `$${n + 1}`)}]) as n`, most), [{
      n: 65_535,
    }]);
  });

  await t.step("run() rejects two statements in one text", async () => {
    const error = await thrownBy(() => connection.run([{ text: "select 1; drop table step" }]), PostgresError);
    assertEquals(error.code, "42601");
  });

  await t.step("start() rejects LISTEN, whose notifications would reach no listener", async () => {
    const error = await thrownBy(() => connection.run([{ text: "LISTEN channel" }]), StatementError);
    assertStringIncludes(error.message, "notifications are not delivered");
    assertEquals(await rows(connection, "select count(*)::int as n from pg_listening_channels()"), [{ n: 0 }]);
  });

  await t.step("start() rejects COPY in both directions before anything is sent", async () => {
    for (const text of ["copy step from stdin", "copy step to stdout", "/* x */ copy (select 1) to stdout"]) {
      const answers = await Promise.allSettled([
        connection.run([{ text: "insert into step values (3)" }, { text }, { text: "select 1" }]),
        rows(connection, "select 2 as n"),
      ]);
      assertEquals(answers.map((answer) => answer.status === "fulfilled" ? answer.value : answer.reason.code), [
        "STATEMENT_INVALID",
        [{ n: 2 }],
      ]);
    }
    assertEquals(await rows(connection, "select n from step where n = 3"), []);
  });

  await t.step("run() closes the connection at a COPY that was not recognized, and confuses no responses", async () => {
    await using victim = await open(database);
    const answers = await Promise.allSettled([
      victim.connection.run([{ text: "copy step /* ' */ from stdin /* ' */" }, { text: "commit" }]),
      rows(victim.connection, "select 2 as n"),
      rows(victim.connection, "select 3 as n"),
    ]);
    assertEquals(answers.map(({ status }) => status), ["rejected", "rejected", "rejected"]);
    await thrownBy(() => rows(victim.connection, "select 1"), ConnectionBrokenError);
  });

  await t.step("run() rejects with errors without values of rows", async () => {
    await connection.run([{ text: "create table secret (code text primary key check (code <> 'hunter3'))" }]);
    await connection.run([{ text: "insert into secret values ('hunter2')" }]);
    const attempts = [
      ["insert into secret values ($1)", "hunter2", "23505"],
      ["insert into secret values ($1)", "hunter3", "23514"],
      ["select $1::text::int", "hunter2", "22P02"],
      ["select $1::text::date", "hunter2", "22007"],
      ["select $1::text::json", "hunter2", "22P02"],
    ] as const;
    for (const [text, value, code] of attempts) {
      const error = await thrownBy(() => connection.run([{ text, values: [value] }]), PostgresError);
      assertEquals(error.code, code);
      const all = Deno.inspect(error, { depth: 9 }) + JSON.stringify(error) + error.stack;
      assert(!all.includes("hunter"), all);
    }
    // Nor the rest of a text, which may contain a value.
    for (const text of ["select 'hunter2", "select 1 2 'hunter2'", "select $x$ hunter2"]) {
      const { code, message } = await thrownBy(() => connection.run([{ text }]), PostgresError);
      assertEquals([code, message.includes("hunter2")], ["42601", false], message);
    }
    const error = await thrownBy(
      () => connection.run([{ text: "insert into secret values ('hunter2')" }]),
      PostgresError,
    );
    assertEquals([error.table, error.constraint, error.severity], ["secret", "secret_pkey", "ERROR"]);
  });

  await t.step("run() rejects with errors without values in any language of the server", () => {
    const said = [
      "ungültige Eingabesyntax für Typ integer: »hunter2«",
      "syntaxe en entrée invalide pour le type integer : « hunter2 »",
      '型integerの入力構文が不正です: "hunter2"',
      "無效的輸入「hunter2」",
      "invalid input syntax: „hunter2“",
    ];
    for (const message of said) {
      const error = new PostgresError({
        code: "22P02",
        severity: "FEHLER",
        message,
        detail: "hunter2",
        where: "hunter2",
      });
      const all = Deno.inspect(error, { depth: 9, showHidden: true }) + error.stack + error;
      assert(!all.includes("hunter"), all);
    }
  });

  await t.step(
    "run() rejects with ConnectionLostError what was sent, and with ConnectionBrokenError what was not",
    async () => {
      await using victim = await open(database);
      const { backendKey } = victim.connection;
      const running = [rows(victim.connection, "select pg_sleep(10)"), rows(victim.connection, "select 2")];
      const settled = Promise.allSettled(running);
      await connection.run([{ text: "select pg_terminate_backend($1)", values: [backendKey?.processId] }]);
      const [first, second] = await settled;
      assertEquals(first?.status === "rejected" && first.reason.code, "57P01");
      assert(second?.status === "rejected" && second.reason instanceof ConnectionLostError);
      assertEquals(
        (await thrownBy(() => rows(victim.connection, "select 1"), ConnectionBrokenError)).code,
        "CONNECTION_BROKEN",
      );
      assertEquals(victim.deaths.length, 1);
    },
  );

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
