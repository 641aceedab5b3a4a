/**
 * Tests of `prismaMetrics` in a client of Prisma. They run in a process of their own, in the project that `project.ts`
 * writes, since Prisma is no dependency of this one.
 *
 * @module
 */
import { assert, assertEquals, assertNotEquals, assertRejects } from "@std/assert";
import { MetricsCollector, prismaMetrics } from "../../../shared/observability/metrics/mod.ts";
import type { Account, Client, ClientModule, Operation } from "./client.ts";

const { createClient }: ClientModule = await import(Deno.env.get("PRISMA_CLIENT") ?? "");

/** A client, the same with the extension, and what it reported. */
class Rig implements AsyncDisposable {
  readonly collector = new MetricsCollector();
  readonly plain: Client;
  readonly prisma: Client;
  /** The statements of both. */
  readonly statements: string[] = [];

  constructor(maxConnections = 4) {
    this.plain = createClient(Deno.env.get("DATABASE_URL") ?? "", maxConnections);
    this.plain.$on("query", ({ query }) => this.statements.push(query));
    this.prisma = this.plain.$extends(prismaMetrics(this.collector));
  }

  /** The operations since the last reading: how many, and how many of them failed. */
  read(): [count: number, failed: number] {
    const { count, failed } = this.collector.getMetrics().prisma.query;
    const [before, failedBefore] = this.#read;
    this.#read = [count, failed];
    return [count - before, failed - failedBefore];
  }
  #read = [0, 0] as [number, number];

  async [Symbol.asyncDispose](): Promise<void> {
    await this.plain.$disconnect();
  }
}

let accounts = 0;
const email = () => `${Deno.pid}-${++accounts}@example.com`;

/** Runs an operation that fails, and returns its error. */
async function errorOf(
  operation: Promise<unknown>,
): Promise<Error & { readonly code?: string; readonly meta?: unknown }> {
  return await assertRejects(() => operation, Error);
}

Deno.test("each operation is reported once, with the result of a client without the extension", async () => {
  await using rig = new Rig();
  const { plain, prisma } = rig;
  const mail = email();
  const where = { email: mail };
  const created = await prisma.account.create({ data: { email: mail, balance: 2n ** 63n - 1n } });
  assertEquals([created.balance, rig.read()], [2n ** 63n - 1n, [1, 0]]);
  const operations: ((client: Client) => Operation<unknown>)[] = [
    (client) => client.account.findMany(),
    (client) => client.account.findMany({ where: { balance: { gt: 2n ** 62n } } }),
    (client) => client.account.findUnique({ where, include: { notes: true } }),
    (client) => client.account.findUnique({ where: { email: "none" } }),
    (client) => client.account.findUnique({ where }).notes(),
    (client) => client.account.findUniqueOrThrow({ where, select: { balance: true } }),
    (client) => client.account.update({ where, data: { balance: -5n } }),
    (client) => client.account.upsert({ where, create: { email: mail }, update: { balance: { increment: 0n } } }),
    (client) => client.account.count(),
    (client) => client.account.deleteMany({ where: { email: "none" } }),
    (client) => client.$queryRaw`select ${mail}::text as mail, ${1n}::bigint as n, null as nothing`,
    (client) => client.$queryRawUnsafe("select $1::int as n", 3),
    (client) => client.$executeRaw`update "Account" set balance = balance where email = ${mail}`,
  ];
  for (const [index, run] of operations.entries()) {
    const expected = await run(plain);
    assertEquals(rig.read(), [0, 0], `without the extension: ${index}`);
    assertEquals(await run(prisma), expected, String(run));
    assertEquals(rig.read(), [1, 0], String(run));
  }
});

Deno.test("an operation of several statements is reported once", async () => {
  await using rig = new Rig();
  const mail = email();
  rig.statements.length = 0;
  await rig.prisma.account.create({
    data: { email: mail, notes: { create: [{ text: "a" }, { text: "b" }] } },
    include: { notes: true },
  });
  assert(rig.statements.length > 2, String(rig.statements));
  assertEquals(rig.read(), [1, 0]);
});

Deno.test("failures are reported once, with the error of a client without the extension", async () => {
  await using rig = new Rig();
  const mail = email();
  await rig.plain.account.create({ data: { email: mail } });
  const failures: [string | undefined, (client: Client) => Promise<unknown>][] = [
    ["P2002", (client) => client.account.create({ data: { email: mail } })],
    ["P2025", (client) => client.account.findUniqueOrThrow({ where: { email: "none" } })],
    ["P2010", (client) => client.$queryRawUnsafe("selec 1")],
    ["P2010", (client) => client.$queryRaw`select 1 / ${0}::int`],
    // Prisma rejects it before it runs.
    [undefined, (client) => client.account.findMany({ where: { none: 1 } })],
  ];
  for (const [code, run] of failures) {
    const expected = await errorOf(run(rig.plain));
    const error = await errorOf(run(rig.prisma));
    assertEquals([error.code, error.name, error.meta], [code, expected.name, expected.meta]);
    assertEquals(error.message, expected.message);
    assertEquals(error.constructor, expected.constructor);
    assertEquals(rig.read(), [1, 1], String(run));
  }
});

Deno.test("the operations of a transaction with a callback are reported once each, its statements of control never", async () => {
  await using rig = new Rig();
  const mail = email();
  const total = await rig.prisma.$transaction(async (tx) => {
    await tx.account.create({ data: { email: mail, balance: 3n } });
    await tx.$executeRaw`update "Account" set balance = 4 where email = ${mail}`;
    return (await tx.account.findUniqueOrThrow({ where: { email: mail } })).balance;
  });
  assertEquals([total, rig.read()], [4n, [3, 0]]);
  assertEquals((await rig.plain.account.findUnique({ where: { email: mail } }))?.balance, 4n);
  const error = new Error("rolled back");
  const left = email();
  const thrown = await errorOf(rig.prisma.$transaction(async (tx) => {
    await tx.account.create({ data: { email: left } });
    throw error;
  }));
  assertEquals([thrown === error, rig.read()], [true, [1, 0]]);
  assertEquals(await rig.plain.account.findUnique({ where: { email: left } }), null);
});

Deno.test("each operation in a transaction that failed is reported as a failure", async () => {
  await using rig = new Rig();
  const mail = email();
  await rig.plain.account.create({ data: { email: mail } });
  const aborted = await errorOf(rig.prisma.$transaction(async (tx) => {
    await tx.$queryRaw`select 1`;
    await errorOf(tx.account.create({ data: { email: mail } }));
    await tx.$queryRaw`select 2`;
  }));
  assertEquals(rig.read(), [3, 2]);
  assert(aborted.message.includes("25P02"), aborted.message);
});

Deno.test("the operations of a list are one transaction, and reported once each", async () => {
  await using rig = new Rig();
  const mail = email();
  rig.statements.length = 0;
  const list = (client: Client) => [
    client.account.create({ data: { email: mail } }),
    client.$queryRaw`select pg_current_xact_id()::text as id`,
    client.$queryRaw`select pg_current_xact_id()::text as id`,
  ];
  const [created, first, second] = await rig.prisma.$transaction(list(rig.prisma));
  assertEquals((created as Account).email, mail);
  assertEquals(first, second);
  assertEquals(rig.read(), [3, 0]);
  assertEquals(rig.statements.filter((text) => text === "COMMIT").length, 1, String(rig.statements));
  // The list fails as a whole, but Prisma rejects only the operation that failed.
  const other = email();
  const failing = [rig.prisma.account.create({ data: { email: other } }), ...list(rig.prisma)];
  assertEquals((await errorOf(rig.prisma.$transaction(failing))).code, "P2002");
  assertEquals(rig.read(), [4, 1]);
  assertEquals(await rig.plain.account.findUnique({ where: { email: other } }), null);
});

Deno.test("an operation stays lazy: it is neither run nor reported before it is awaited", async () => {
  await using rig = new Rig();
  const mail = email();
  const operation = rig.prisma.account.create({ data: { email: mail } });
  assertEquals(operation[Symbol.toStringTag], "PrismaPromise");
  await new Promise((resolve) => setTimeout(resolve, 100));
  assertEquals([rig.read(), await rig.plain.account.findUnique({ where: { email: mail } })], [[0, 0], null]);
  const { id } = await operation;
  assertEquals((await operation).id, id);
  assertEquals(rig.read(), [1, 0]);
});

Deno.test("findUnique() of one tick is one statement, as in a client without the extension", async () => {
  await using rig = new Rig();
  const mails = await Promise.all(Array.from({ length: 10 }, async () => {
    return (await rig.plain.account.create({ data: { email: email() } })).email;
  }));
  for (const client of [rig.plain, rig.prisma]) {
    rig.statements.length = 0;
    const found = await Promise.all(mails.map((mail) => client.account.findUnique({ where: { email: mail } })));
    assertEquals(found.map((account) => account?.email), mails);
    assertEquals(rig.statements.length, 1, String(rig.statements));
  }
  assertEquals(rig.read(), [10, 0]);
});

Deno.test("other extensions keep their effect: fields, methods and queries", async () => {
  await using rig = new Rig();
  interface Extended extends Client {
    readonly account: Client["account"] & {
      signUp(email: string): Promise<Account & { domain: string }>;
      label(): string;
    };
  }
  const mail = email();
  const seen: unknown[] = [];
  const prisma = rig.prisma.$extends({
    result: { account: { domain: { needs: { email: true }, compute: ({ email }: Account) => email.split("@")[1] } } },
  }).$extends<Extended>({
    model: {
      account: {
        label: () => "accounts",
        async signUp(this: Client["account"], email: string) {
          await this.create({ data: { email } });
          return await this.findUniqueOrThrow({ where: { email } });
        },
      },
    },
  }).$extends<Extended>({
    query: {
      account: {
        async findUniqueOrThrow({ args, query }: { args: object; query: (args: object) => Promise<Account> }) {
          seen.push(args);
          return await query({ ...args, include: { notes: true } });
        },
      },
    },
  });
  assertEquals([prisma.account.label(), rig.read()], ["accounts", [0, 0]]);
  const account = await prisma.account.signUp(mail);
  assertEquals([account.email, account.domain, account.notes, seen.length], [mail, "example.com", [], 1]);
  assertEquals(rig.read(), [2, 0]);
});

Deno.test("an extension is reported with what it adds if it is added later, and without it if it was added before", async () => {
  await using rig = new Rig();
  type Query = { readonly args: unknown; query(args: unknown): Promise<unknown> };
  const cached = { query: { account: { count: () => Promise.resolve(7) } } };
  const twice = {
    query: {
      async $allOperations({ args, query }: Query) {
        await query(args);
        return await query(args);
      },
    },
  };
  const metrics = () => prismaMetrics(rig.collector);
  const reported = async (client: Client) => {
    const result = await client.account.count();
    return [result, ...rig.read()];
  };
  assertEquals(await reported(rig.plain.$extends(metrics()).$extends(cached)), [7, 1, 0]);
  assertEquals(await reported(rig.plain.$extends(cached).$extends(metrics())), [7, 0, 0]);
  assertEquals((await reported(rig.plain.$extends(metrics()).$extends(twice))).slice(1), [1, 0]);
  assertEquals((await reported(rig.plain.$extends(twice).$extends(metrics()))).slice(1), [2, 0]);
});

Deno.test("an extension may run each operation in a transaction with settings of the caller", async () => {
  await using rig = new Rig();
  const caller = {
    query: {
      async $allOperations({ args, query }: { args: unknown; query(args: unknown): Operation<unknown> }) {
        const set = rig.plain.$executeRaw`select set_config('app.caller', 'alice', true)`;
        const [, result] = await rig.plain.$transaction([set, query(args)]);
        return result;
      },
    },
  };
  const metrics = () => prismaMetrics(rig.collector);
  for (
    const prisma of [rig.plain.$extends(caller).$extends(metrics()), rig.plain.$extends(metrics()).$extends(caller)]
  ) {
    const rows = await prisma.$queryRaw<{ name: string }[]>`select current_setting('app.caller', true) as name`;
    assertEquals([rows[0]?.name, rig.read()], ["alice", [1, 0]]);
  }
});

Deno.test("a collector that throws or rejects changes no result and no error", async () => {
  await using rig = new Rig();
  const mail = email();
  for (
    const thrower of [() => Promise.reject(new Error("collector")), () => {
      throw new Error("collector");
    }]
  ) {
    const prisma = rig.plain.$extends(prismaMetrics({ trackPrismaQuery: thrower }));
    assertEquals(await prisma.$queryRaw`select 1 as n`, [{ n: 1 }]);
    const [rows] = await prisma.$transaction([prisma.$queryRaw`select 2 as n`]);
    assertEquals(rows, [{ n: 2 }]);
    await rig.plain.account.upsert({ where: { email: mail }, create: { email: mail }, update: {} });
    assertEquals((await errorOf(prisma.account.create({ data: { email: mail } }))).code, "P2002");
  }
});

Deno.test("nothing of arguments, SQL, results and errors is kept", async () => {
  await using rig = new Rig();
  const secret = "sb_secret_of_a_query";
  await rig.prisma.$queryRaw`select ${secret}::text as secret`;
  await errorOf(rig.prisma.$queryRawUnsafe(`select ${secret}`));
  await errorOf(rig.prisma.$queryRaw`select ${secret}::int`);
  await errorOf(rig.prisma.account.findMany({ where: { [secret]: secret } }));
  assertEquals(rig.read(), [4, 3]);
  assertEquals(JSON.stringify(rig.collector.getMetrics()).includes(secret), false);
});

Deno.test("durations have the wait for a connection, and are those of the caller", async () => {
  await using rig = new Rig(1);
  await rig.plain.$queryRaw`select 1`;
  const since = performance.now();
  await Promise.all([1, 2, 3].map(() => rig.prisma.$queryRaw`select pg_sleep(0.1)::text`));
  const elapsedMs = performance.now() - since;
  const { max } = rig.collector.getMetrics().prisma.query.duration;
  assert(max >= 300 && max <= elapsedMs + 1, `${max} of ${elapsedMs} ms`);
});

Deno.test("durations are those that Postgres logs, and the way there and back", async () => {
  await using rig = new Rig(1);
  const report: { marker: string; durationMs: number; elapsedMs: number }[] = [];
  for (const [marker, seconds] of [["warm_up", 0], ["marker_1", 0], ["marker_2", 0.05], ["marker_3", 0.2]] as const) {
    let durationMs = 0;
    const prisma = rig.plain.$extends(prismaMetrics({ trackPrismaQuery: (ms) => void (durationMs = ms) }));
    const since = performance.now();
    await prisma.$queryRawUnsafe(`select pg_sleep(${seconds})::text as ${marker}`);
    report.push({ marker, durationMs, elapsedMs: performance.now() - since });
  }
  assertNotEquals(report.at(-1)?.durationMs, 0);
  console.log(`REPORT ${JSON.stringify(report)}`);
});
