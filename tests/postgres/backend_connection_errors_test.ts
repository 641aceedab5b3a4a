import { assert, assertEquals, assertStringIncludes } from "@std/assert";
import {
  ConnectionBrokenError,
  ConnectionLostError,
  PostgresError,
  StatementError,
} from "../../shared/postgres/mod.ts";
import { open, rows } from "./opened_connection.ts";
import { TestDatabase, thrownBy } from "./support.ts";

Deno.test("BackendConnection rejects what it cannot send, and with errors without values", async (t) => {
  await using database = await TestDatabase.start();
  await using opened = await open(database);
  const { connection } = opened;
  await connection.run([{ text: "create table step (n int)" }]);

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
});
