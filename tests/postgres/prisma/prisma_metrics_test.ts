/** `prismaMetrics` in a client that Prisma generates, on a Postgres server. */
import { assert, assertEquals, assertStringIncludes } from "@std/assert";
import { DENO_2_1 } from "../../../local/deno_2_1/deno.ts";
import { npmProgram } from "../../support/components.ts";
import { TestDatabase } from "../support.ts";
import { PRISMA_PACKAGES } from "./packages.ts";
import { prismaPackages, PrismaProject } from "./project.ts";

const deno21 = await npmProgram(DENO_2_1);

const SCHEMA = `
generator client {
  provider = "prisma-client"
  output   = "./generated/prisma"
  runtime  = "deno"
}

datasource db {
  provider = "postgresql"
}

model Account {
  id      Int    @id @default(autoincrement())
  email   String @unique
  balance BigInt @default(0)
  notes   Note[]
}

model Note {
  id        Int     @id @default(autoincrement())
  text      String
  account   Account @relation(fields: [accountId], references: [id])
  accountId Int
}
`;

const TABLES = `
create table "Account" (id serial primary key, email text not null unique, balance bigint not null default 0);
create table "Note" (id serial primary key, text text not null, "accountId" int not null references "Account");
`;

const CLIENT = `
import { PrismaPg } from "@prisma/adapter-pg";
import { PrismaClient } from "./generated/prisma/client.ts";

export function createClient(connectionString: string, max: number) {
  return new PrismaClient({ adapter: new PrismaPg({ connectionString, max }), log: [{ emit: "event", level: "query" }] });
}
`;

const MODULE = new URL("../../../shared/observability/mod.ts", import.meta.url).href;

/** Compared with a client without the extension. The compiler rejects it if one of the types differs. */
const TYPES = `
import { createClient } from "./client.ts";
import { Prisma } from "./generated/prisma/client.ts";
import { prismaMetrics } from "${MODULE}";

type Same<A, B> = (<T>() => T extends A ? 1 : 2) extends (<T>() => T extends B ? 1 : 2) ? true : false;
function same<A, B>(_: Same<A, B>): void {}

const plain = createClient("", 1);
const prisma = plain.$extends(prismaMetrics());
Prisma.defineExtension(prismaMetrics());

const where = { email: "a" };
const select = { balance: true, notes: { select: { text: true } } } as const;
const found = () => prisma.account.findUniqueOrThrow({ where, select });
const plainFound = () => plain.account.findUniqueOrThrow({ where, select });
same<Awaited<ReturnType<typeof found>>, { balance: bigint; notes: { text: string }[] }>(true);
same<Awaited<ReturnType<typeof found>>, Awaited<ReturnType<typeof plainFound>>>(true);
const all = () => prisma.account.findMany({ include: { notes: true } });
const plainAll = () => plain.account.findMany({ include: { notes: true } });
same<Awaited<ReturnType<typeof all>>, Awaited<ReturnType<typeof plainAll>>>(true);
// @ts-expect-error: it was not selected
(await found()).email;
// @ts-expect-error: there is no such model
prisma.none;
// @ts-expect-error: there is no such field
prisma.account.findMany({ where: { none: 1 } });

const [account, count, rows] = await prisma.$transaction([
  prisma.account.create({ data: where }),
  prisma.account.count(),
  prisma.$queryRaw<{ n: number }[]>\`select 1 as n\`,
]);
same<typeof account.balance, bigint>(true);
same<typeof count, number>(true);
same<typeof rows, { n: number }[]>(true);
const inside = await prisma.$transaction(async (tx) => await tx.account.findFirst({ select: { id: true } }));
same<typeof inside, { id: number } | null>(true);

const extended = prisma.$extends({
  result: { account: { domain: { needs: { email: true }, compute: ({ email }) => email.split("@")[1] } } },
  model: { account: { label: () => "accounts" } },
}).$extends(prismaMetrics());
const label: string = extended.account.label();
same<typeof label, string>(true);
const computed = await extended.account.findFirstOrThrow();
same<typeof computed.domain, string | undefined>(true);
`;

/** A query as the extension reported it, and as its caller measured it. */
interface MarkedQuery {
  readonly marker: string;
  readonly durationMs: number;
  readonly elapsedMs: number;
}

/** Returns the time that the server logged for statements with a text, in ms: to parse, bind and execute them. */
function loggedMs(lines: readonly string[], text: string): number {
  const durations = lines.filter((line) => line.includes(text)).map((line) => /duration: ([\d.]+) ms/.exec(line)?.[1]);
  return durations.reduce((sum, duration) => sum + Number(duration ?? 0), 0);
}

/** Returns the blocks of the example in the documentation. */
async function readExample(): Promise<{ schema: string; imports: string; code: string }> {
  const text = await Deno.readTextFile(new URL("../../../docs/observability.md", import.meta.url));
  const section = text.slice(text.indexOf("### Prisma"));
  const block = (language: string) => section.split(`\`\`\`${language}\n`)[1]?.split("\n```")[0] ?? "";
  return { schema: block("prisma"), imports: block("json"), code: block("ts ignore") };
}

Deno.test({
  name: `prismaMetrics() in a client of Prisma${prismaPackages.note}`,
  ignore: prismaPackages.ignore,
  fn: async (t) => {
    const log: string[] = [];
    await using database = await TestDatabase.start((line) => log.push(line));
    await using project = await PrismaProject.create(SCHEMA);
    await project.write("client.ts", CLIENT);
    const admin = database.manager();
    for (const statement of TABLES.trim().split("\n")) await admin.query(statement);
    await admin.query("alter role supabase_admin set log_min_duration_statement = 0");
    const env = { PRISMA_CLIENT: project.url("client.ts"), DATABASE_URL: database.server.url };

    const scenarios = new URL("scenarios.ts", import.meta.url).pathname;
    const config = new URL(project.url("deno.json")).pathname;
    const test = ["test", "-A", "--no-check", "--config", config, scenarios];

    let output = "";
    await t.step("reports its operations, and changes none of them", async () => {
      const outcome = await project.deno(test, { env });
      output = outcome.output;
      assert(outcome.success, output);
    });

    await t.step("reports the durations that Postgres logs, and the way there and back", () => {
      const queries: MarkedQuery[] = JSON.parse(/REPORT (.*)/.exec(output)?.[1] ?? "[]");
      assertEquals(queries.length, 4, output);
      for (const { marker, durationMs, elapsedMs } of queries) {
        const serverMs = loggedMs(log, marker);
        assert(serverMs > 0, `no duration of ${marker}: ${log.filter((line) => line.includes(marker))}`);
        assert(
          durationMs >= serverMs && durationMs <= elapsedMs,
          JSON.stringify({ marker, serverMs, durationMs, elapsedMs }),
        );
      }
    });

    await t.step({
      name: `does the same on ${DENO_2_1}${deno21.note}`,
      ignore: deno21.ignore,
      fn: async () => {
        const { success, output } = await project.deno(test, { env, program: ["npx", "--no", "--", DENO_2_1] });
        assert(success, output);
      },
    });

    await t.step("runs the example of docs/observability.md", async () => {
      const { schema, imports, code } = await readExample();
      // Its packages are those of the project.
      for (const name of PRISMA_PACKAGES.slice(1)) assertStringIncludes(imports, name);
      await using example = await PrismaProject.create(schema);
      await example.write("main.ts", code.replaceAll("./shared/observability/mod.ts", MODULE));
      await admin.query('create table "City" (id serial primary key, name text not null unique)');
      const { success, output } = await example.deno(["run", "-A", "--check", "main.ts"], {
        env: { SUPABASE_DB_URL: database.server.url },
      });
      assert(success, output);
      assertStringIncludes(output, "Bern Zurich [ { count: 2n } ]");
      assertStringIncludes(output, "count: 3,\n  failed: 0,");
    });

    await t.step("keeps the types of the client", async () => {
      await project.write("types.ts", TYPES);
      const { success, output } = await project.deno(["check", "types.ts"]);
      assert(success, output);
    });
  },
});
