/**
 * The candidates of the data benchmark: the same statements by Kysely on pg, by our dialect, by the query builder, and as
 * text.
 *
 * @module
 */
import { Kysely, PostgresDialect, type PostgresPool } from "kysely";
// @ts-types="../../shared/postgres/wire/pg.d.ts"
import pg from "pg";
import { createQueryBuilder, kyselyOf } from "../../shared/data/mod.ts";
import { openManager, ourCandidate } from "../postgres/candidates.ts";
import { CONNECTIONS, type SqlCandidate, type Work } from "../postgres/work.ts";

/** The tables of the benchmark. */
interface Tables {
  item: { id: number; name: string | null; price: string | null; made: Date | null; ok: boolean | null };
}

/** Builds the query of one row with Kysely. */
function buildOne(db: Kysely<Tables>, id: number) {
  return db.selectFrom("item").select(["id", "name", "ok"]).where("id", "=", id);
}

function kyselyWork(db: Kysely<Tables>): Work {
  return {
    one: async (id) => (await buildOne(db, id).execute()).length,
    twenty: async (id) =>
      (await db.selectFrom("item").select(["id", "name", "price", "made", "ok"]).where("id", ">=", id).orderBy("id")
        .limit(20).execute()).length,
    transaction: (id) =>
      db.transaction().execute(async (tx) => {
        let rows = 0;
        for (let n = 0; n < 3; n++) rows += (await buildOne(tx, id + n).execute()).length;
        return rows;
      }),
  };
}

const kyselyOnPg: SqlCandidate = {
  id: "kysely_pg",
  title: "Kysely with PostgresDialect on pg",
  open(login, name) {
    const pool = new pg.Pool({ ...login, application_name: name, max: CONNECTIONS });
    // Its end resolves before the sockets are closed, and the server may stop meanwhile.
    pool.on("connect", (client: pg.Client) => client.on("error", () => {}));
    pool.on("error", () => {});
    // The declarations of pg in this repository have the parts that the library uses.
    const db = new Kysely<Tables>({ dialect: new PostgresDialect({ pool: pool as unknown as PostgresPool }) });
    return { ...kyselyWork(db), close: () => db.destroy() };
  },
};

const ours: SqlCandidate = {
  id: "ours",
  title: "kyselyOf(manager)",
  open(login, name) {
    const manager = openManager(login, name);
    return { ...kyselyWork(kyselyOf<Tables>(manager)), close: () => manager.shutdown() };
  },
};

const builder: SqlCandidate = {
  id: "builder",
  title: "createQueryBuilder(manager)",
  open(login, name) {
    const manager = openManager(login, name);
    const items = createQueryBuilder<Tables>(manager).from("item");
    return {
      one: async (id) => (await items.select("id", "name", "ok").where("id", "=", id).get()).length,
      twenty: async (id) =>
        (await items.select("id", "name", "price", "made", "ok").where("id", ">=", id).orderBy("id").limit(20).get())
          .length,
      transaction: (id) =>
        manager.transaction(async (tx) => {
          const own = createQueryBuilder<Tables>(tx).from("item");
          let rows = 0;
          for (let n = 0; n < 3; n++) {
            rows += (await own.select("id", "name", "ok").where("id", "=", id + n).get()).length;
          }
          return rows;
        }),
      close: () => manager.shutdown(),
    };
  },
};

const plain = ourCandidate("plain", "manager.query, as text");

/** All candidates, in table order. */
export const CANDIDATES: readonly SqlCandidate[] = [kyselyOnPg, plain, ours, builder];

const unsent = () => Promise.reject(new Error("It is compiled only"));

/** Compiles the query of one row, without a server. */
export const COMPILERS: Readonly<
  Record<"kysely" | "builder", { readonly title: string; compile(id: number): string }>
> = {
  kysely: (() => {
    const db = kyselyOf<Tables>({ query: unsent, transaction: unsent });
    return { title: "Kysely", compile: (id: number) => buildOne(db, id).compile().sql };
  })(),
  builder: (() => {
    const items = createQueryBuilder<Tables>({ query: unsent }).from("item");
    return {
      title: "the query builder",
      compile: (id: number) => items.select("id", "name", "ok").where("id", "=", id).compile().sql,
    };
  })(),
};
