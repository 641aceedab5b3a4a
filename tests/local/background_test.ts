import { assert, assertEquals, assertMatch, assertStringIncludes } from "@std/assert";
import postgres from "postgres";
import { generateKeys } from "../../local/keys.ts";
import { startPostgres } from "../../local/mod.ts";
import { startBackground } from "../../local/postgres/background.ts";
import { CronJobs } from "../../local/postgres/cron_jobs.ts";
import { parseSchedule } from "../../local/postgres/cron_schedule.ts";
import { localAddress } from "../../local/postgres/net_requests.ts";
import { prepareDatabase } from "../../local/postgres/platform/mod.ts";
import { eventually } from "./fixture.ts";

Deno.test("parseSchedule() finds the minutes of a schedule, in UTC", () => {
  const matches = (schedule: string, time: string) => {
    const parsed = parseSchedule(schedule);
    return parsed !== undefined && "matches" in parsed && parsed.matches(new Date(`${time}:00Z`));
  };
  for (
    const [schedule, due, notDue] of [
      ["* * * * *", "2026-11-28T13:07", undefined],
      ["*/15 * * * *", "2026-11-28T13:45", "2026-11-28T13:46"],
      ["5,10-12 9-17/4 * * *", "2026-11-28T13:11", "2026-11-28T14:11"],
      ["30 3 1 * *", "2026-11-01T03:30", "2026-11-02T03:30"],
      ["0 0 $ * *", "2028-02-29T00:00", "2028-02-28T00:00"],
      ["0 12 * * 7", "2026-11-29T12:00", "2026-11-28T12:00"],
      ["0 12 * * mon-fri", "2026-11-27T12:00", "2026-11-28T12:00"],
      ["0 0 1 jan,jul *", "2026-07-01T00:00", "2026-06-01T00:00"],
      // Either day is enough.
      ["0 0 13 * fri", "2026-11-27T00:00", "2026-11-26T00:00"],
      ["@daily", "2026-11-28T00:00", "2026-11-28T01:00"],
      ["@hourly", "2026-11-28T07:00", "2026-11-28T07:01"],
    ] as const
  ) {
    assert(matches(schedule, due), `${schedule} at ${due}`);
    assert(notDue === undefined || !matches(schedule, notDue), `${schedule} at ${notDue}`);
  }
  assertEquals([parseSchedule("30 seconds"), parseSchedule(" 1 second ")], [{ everyS: 30 }, { everyS: 1 }]);
  const invalid = [
    "",
    "* * * *",
    "60 * * * *",
    "* 24 * * *",
    "* * 0 * *",
    "5-1 * * * *",
    "*/0 * * * *",
    "60 seconds",
    "x",
  ];
  assertEquals(invalid.filter((text) => parseSchedule(text) !== undefined), []);
});

Deno.test("localAddress() leads to this machine only, and to the gateway for its names in containers", () => {
  const address = (url: string) => localAddress(url, "http://127.0.0.1:54321")?.href;
  assertEquals(address("http://localhost:8080/a?b"), "http://localhost:8080/a?b");
  assertEquals(address("http://[::1]:1/"), "http://[::1]:1/");
  for (
    const host of ["kong:8000", "supabase_kong_app:8000", "host.docker.internal:54321", "api.supabase.internal:8000"]
  ) {
    assertEquals(address(`http://${host}/functions/v1/a?b=c`), "http://127.0.0.1:54321/functions/v1/a?b=c");
  }
  for (
    const url of [
      "https://abcdefghijklmnopqrst.supabase.co/functions/v1/a",
      "http://10.0.0.1/",
      "http://127.0.0.1.example.com/",
      "http://localhost.example.com/",
      "http://localhost@example.com/",
      "file:///etc/passwd",
      "ftp://localhost/",
      "/functions/v1/a",
      "",
    ]
  ) assertEquals(address(url), undefined, url);
});

Deno.test("startBackground() runs the jobs of pg_cron and sends the requests of pg_net", async (t) => {
  await using server = await startPostgres();
  const admin = postgres(server.url, { max: 1, onnotice: () => {} });
  const keys = generateKeys();
  await prepareDatabase(admin, keys);
  const postgresUrl =
    Object.assign(new URL(server.url), { username: "postgres", password: keys.databasePassword }).href;
  const owner = postgres(postgresUrl, { max: 1, onnotice: () => {}, backoff: false });
  const warnings: string[] = [];
  const requests: unknown[] = [];
  await using http = Deno.serve({ hostname: "127.0.0.1", port: 0, onListen: () => {} }, async (request) => {
    const path = new URL(request.url).pathname;
    if (path === "/slow") await new Promise((resolve) => setTimeout(resolve, 500));
    requests.push([request.method, path, request.headers.get("x-a"), await request.text()]);
    return new Response("hello", { status: 201, headers: { "content-type": "text/plain", "x-b": "c" } });
  });
  const gatewayUrl = `http://127.0.0.1:${http.addr.port}`;
  const options = {
    superuserUrl: server.url,
    postgresUrl,
    gatewayUrl,
    warn: (line: string) => void warnings.push(line),
    intervalMs: 20,
  };

  await t.step("startBackground() does nothing without the extensions", async () => {
    assertEquals(await startBackground(options), undefined);
  });

  await owner`create extension pg_cron`;
  await owner`create extension pg_net`;
  const background = await startBackground(options);
  assert(background);

  const responseOf = async (id: unknown) => {
    let row: postgres.Row | undefined;
    await eventually(async () => {
      [row] = await owner`select * from net._http_response where id = ${String(id)}`;
      return row !== undefined;
    }, `the response to request ${id}`);
    return row ?? {};
  };

  await t.step(
    "NetRequests sends what is queued once its transaction is committed, and keeps the response",
    async () => {
      const [{ id } = {}] = await owner`select net.http_post('http://kong:8000/functions/v1/a', '{"n": 1}',
      headers => '{"Content-Type": "application/json", "x-a": "b"}') as id`;
      const { status_code, content_type, content, headers, timed_out, error_msg } = await responseOf(id);
      assertEquals([status_code, content_type, content, headers["x-b"], timed_out, error_msg], [
        201,
        "text/plain",
        "hello",
        "c",
        false,
        null,
      ]);
      assertEquals(requests, [["POST", "/functions/v1/a", "b", '{"n": 1}']]);
      const [collected] = await owner`select (net.http_collect_response(${id})).status`;
      assertEquals(collected?.status, "SUCCESS");
      await owner.begin(async (sql) => {
        await sql`select net.http_get(${`${gatewayUrl}/undone`})`;
        throw new Error("undo");
      }).catch(() => {});
      await owner`select net.http_get(${`${gatewayUrl}/next`})`;
      await eventually(() => requests.length >= 2, "the next request");
      assertEquals(requests.slice(1).map((request) => (request as string[])[1]), ["/next"]);
    },
  );

  await t.step("NetRequests records what fails, and sends nothing to other machines", async () => {
    const [slow] = await owner`select net.http_get(${`${gatewayUrl}/slow`}, timeout_milliseconds => 50) as id`;
    assertEquals((await responseOf(slow?.id)).timed_out, true);
    for (const _ of [1, 2]) {
      const [other] = await owner`select net.http_get('https://abc.supabase.co/functions/v1/a') as id`;
      assertStringIncludes((await responseOf(other?.id)).error_msg, "to this machine only, not to abc.supabase.co");
    }
    assertEquals(warnings.length, 1);
  });

  await t.step("CronJobs runs a job as its user, and records each run", async () => {
    await owner`create table runs (who text, at timestamptz default clock_timestamp())`;
    await owner`select cron.schedule('good', '1 second', 'insert into runs select session_user')`;
    await owner`select cron.schedule('bad', '1 second', 'select 1/0')`;
    const details = () =>
      owner`select distinct jobname, status, return_message as message, job_run_details.username from cron.job_run_details
        join cron.job using (jobid) where status <> 'running' order by jobname`;
    await eventually(async () => (await details()).length === 2, "two jobs");
    assertEquals(
      [...await details()].map(({ jobname, status, message, username }) => [jobname, status, message, username]),
      [
        ["bad", "failed", "ERROR:  division by zero", "postgres"],
        ["good", "succeeded", "INSERT 0 1", "postgres"],
      ],
    );
    assertEquals((await owner`select distinct who from runs`).map(({ who }) => who), ["postgres"]);
    await owner`select cron.unschedule('bad')`;
  });

  await t.step("startBackground() goes on after the database was restarted", async () => {
    await server.kill();
    await server.start();
    const [{ before = 0 } = {}] = await eventuallyRow(() => owner`select count(*)::int as before from runs`);
    await eventually(
      async () => {
        const [row] = await eventuallyRow(() => owner`select count(*)::int as n from runs`);
        return row?.n > before;
      },
      "a run after the restart",
      20_000,
    );
    const [row] = await owner`select net.http_get(${`${gatewayUrl}/again`}) as id`;
    assertEquals((await responseOf(row?.id)).status_code, 201);
  });

  await background[Symbol.asyncDispose]();
  const [{ n: runs } = {}] = await owner`select count(*)::int as n from runs`;

  await t.step("CronJobs starts a job once in its minute, and not in the minute in which it begins", async () => {
    await owner`select cron.unschedule('good')`;
    await owner`select cron.schedule('minutely', '30 12 * * *', $$insert into runs values ('minutely')$$)`;
    let now = Date.parse("2026-11-28T12:29:59Z");
    const jobs = new CronJobs({ superuserUrl: server.url, postgresUrl, now: () => now });
    const sql = postgres(server.url, { max: 1, onnotice: () => {} });
    for (let second = 0; second < 130; second += 10) {
      now += 10_000;
      await jobs.tick(sql);
      await jobs.settle(10_000);
    }
    await new CronJobs({ superuserUrl: server.url, postgresUrl, now: () => Date.parse("2026-11-28T12:30:30Z") }).tick(
      sql,
    );
    assertEquals((await owner`select from runs where who = 'minutely'`).length, 1);
    await sql.end();
  });

  assertMatch(String(runs), /^[1-9]/);
  await Promise.all([owner.end(), admin.end({ timeout: 1 })]);
});

/** Runs a query again while the database starts. */
async function eventuallyRow<T>(query: () => Promise<T>): Promise<T> {
  let result: T | undefined;
  await eventually(async () => {
    result = await query().catch(() => undefined);
    return result !== undefined;
  }, "a response of the database");
  return result as T;
}
