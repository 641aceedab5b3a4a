import { assertEquals, assertMatch } from "@std/assert";
import postgres from "postgres";
import type { StackFault } from "../../local/fault.ts";
import { generateKeys } from "../../local/keys.ts";
import { temporaryPlace } from "../../local/postgres/place.ts";
import { PostgresServer, SUPERUSER } from "../../local/postgres/server.ts";
import { supervise, type Supervised } from "../../local/postgres/supervisor.ts";
import { eventually } from "./fixture.ts";

Deno.test("a Postgres that is killed is started again; one that was stopped is left alone", async () => {
  const { superuserPassword } = generateKeys();
  const server = await PostgresServer.open({
    place: await temporaryPlace(),
    port: 0,
    fsync: false,
    superuserPassword,
    log: () => {},
  });
  const lines: string[] = [];
  const supervisor = supervise(server, {
    log: (line) => lines.push(line),
    onGivenUp: ({ message }) => lines.push(message),
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
    await eventually(() => lines.length === 2, "the return");
    assertEquals(lines, ["ended unexpectedly, is started again", "runs again"]);
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

Deno.test("what does not stay up is given up after so many attempts, in one line", async () => {
  const faults: StackFault[] = [];
  const lines: string[] = [];
  let revived = 0;
  const server: Supervised = {
    onLost: undefined,
    lost: false,
    revive: () => {
      revived++;
      // Every other attempt succeeds, but for a moment only.
      if (revived % 2 === 0) return Promise.reject(new Error("Postgres did not start (no space left): remedy that."));
      setTimeout(() => server.onLost?.(), 5);
      return Promise.resolve();
    },
  };
  await using _supervisor = supervise(server, {
    log: (line) => lines.push(line),
    onGivenUp: (fault) => faults.push(fault),
    delaysMs: [0, 1, 1, 1, 1],
    steadyMs: 10_000,
  });
  server.onLost?.();
  await eventually(() => faults.length > 0, "the end");
  assertEquals([revived, faults.length, faults[0]?.code], [5, 1, "POSTGRES_FAILED"]);
  assertMatch(
    faults[0]?.message ?? "",
    /5 attempts .*\. Postgres did not start \(no space left\): remedy that\.$/,
  );
  assertEquals(lines.filter((line) => line.includes("no space left")).length, 1);
});

Deno.test("an attempt that succeeds long after the last one is the first of a new count", async () => {
  let revived = 0;
  const server: Supervised = { onLost: undefined, lost: true, revive: () => Promise.resolve(void revived++) };
  let givenUp = 0;
  await using _supervisor = supervise(server, {
    log: () => {},
    onGivenUp: () => givenUp++,
    delaysMs: [0],
    steadyMs: 0,
  });
  // The first loss is one that came before anybody looked.
  for (let n = 1; n <= 3; n++) {
    if (n > 1) server.onLost?.();
    await eventually(() => revived === n, "the attempt");
    await new Promise((resolve) => setTimeout(resolve, 2));
  }
  assertEquals(givenUp, 0);
});
