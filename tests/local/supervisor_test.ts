import { assertEquals, assertMatch } from "@std/assert";
import postgres from "postgres";
import type { StackError } from "../../local/stack_error.ts";
import { generateKeys } from "../../local/keys.ts";
import { temporaryLocation } from "../../local/postgres/data_location.ts";
import { PostgresServer, SUPERUSER } from "../../local/postgres/server.ts";
import { supervise, type Supervised } from "../../local/postgres/supervisor.ts";
import { eventually } from "./fixture.ts";

Deno.test("supervise() restarts a Postgres that was killed, and not one that was stopped", async () => {
  const { superuserPassword } = generateKeys();
  const server = await PostgresServer.open({
    location: await temporaryLocation(),
    port: 0,
    fsync: false,
    superuserPassword,
    log: () => {},
  });
  const lines: string[] = [];
  const supervisor = supervise(server, {
    log: (line) => lines.push(line),
    onGiveUp: ({ message }) => lines.push(message),
  });
  const query = async () => {
    const sql = postgres(server.url(SUPERUSER, superuserPassword), { max: 1 });
    try {
      return await sql<{ folder: string }[]>`select current_setting('data_directory') as folder`;
    } finally {
      await sql.end();
    }
  };
  try {
    const [row] = await query();
    const [pid = ""] = (await Deno.readTextFile(`${row?.folder}/postmaster.pid`)).split("\n");
    Deno.kill(Number(pid), "SIGKILL");
    await eventually(() => lines.length === 2, "the restart");
    assertEquals(lines, ["exited unexpectedly, restarting", "running again"]);
    assertEquals((await query()).length, 1);

    for (const end of [() => server.kill(), () => server.stop()]) {
      await end();
      await new Promise((resolve) => setTimeout(resolve, 100));
      assertEquals([lines.length, server.running], [2, false]);
      await server.start();
      assertEquals((await query()).length, 1);
    }
  } finally {
    await supervisor[Symbol.asyncDispose]();
    await server.close();
  }
});

Deno.test("supervise() gives up after the last attempt, with an error of one line", async () => {
  const errors: StackError[] = [];
  const lines: string[] = [];
  let revived = 0;
  const server: Supervised = {
    onLost: undefined,
    lost: false,
    revive: () => {
      revived++;
      // Every other attempt succeeds, but for a moment only.
      if (revived % 2 === 0) return Promise.reject(new Error("Postgres did not start (no space left): fix that."));
      setTimeout(() => server.onLost?.(), 5);
      return Promise.resolve();
    },
  };
  await using _supervisor = supervise(server, {
    log: (line) => lines.push(line),
    onGiveUp: (error) => errors.push(error),
    delaysMs: [0, 1, 1, 1, 1],
    steadyMs: 10_000,
  });
  server.onLost?.();
  await eventually(() => errors.length > 0, "the end");
  assertEquals([revived, errors.length, errors[0]?.code], [5, 1, "POSTGRES_FAILED"]);
  assertMatch(
    errors[0]?.message ?? "",
    /5 attempts .*\. Postgres did not start \(no space left\): fix that\.$/,
  );
  assertEquals(lines.filter((line) => line.includes("no space left")).length, 1);
});

Deno.test("supervise() counts attempts again after the server has run long enough", async () => {
  let revived = 0;
  const server: Supervised = { onLost: undefined, lost: true, revive: () => Promise.resolve(void revived++) };
  let gaveUp = 0;
  await using _supervisor = supervise(server, {
    log: () => {},
    onGiveUp: () => gaveUp++,
    delaysMs: [0],
    steadyMs: 0,
  });
  // The first exit happened before supervise() was called.
  for (let n = 1; n <= 3; n++) {
    if (n > 1) server.onLost?.();
    await eventually(() => revived === n, "the attempt");
    await new Promise((resolve) => setTimeout(resolve, 2));
  }
  assertEquals(gaveUp, 0);
});
