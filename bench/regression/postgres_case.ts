/**
 * The Postgres manager on a local server.
 *
 * @module
 */
import type { Login } from "../postgres/database.ts";
import type { Checkout } from "./checkout.ts";
import type { OpenCase } from "./work.ts";

const CONNECTIONS = 10;
const CALLERS = 20;
const ONE = "select id, name, ok from item where id = $1";
const TWENTY = "select id, name, price, made, ok from item where id >= $1 order by id limit 20";

/** Opens the managers. `login` is a pair of {@linkcode Login}s as JSON: the owner's and the authenticator's. */
export function open({ postgres }: Checkout, login: string): OpenCase {
  const [owner, authenticator] = JSON.parse(login) as [Login, Login];
  const create = (options: Login) =>
    new postgres.PostgresConnectionManager({
      ...options,
      maxConnections: CONNECTIONS,
      minConnections: CONNECTIONS,
      acquireTimeoutMs: 60_000,
      healthCheckIntervalMs: 0,
    });
  const [manager, caller] = [create(owner), create(authenticator)];
  const exp = Math.floor(Date.now() / 1_000) + 86_400;
  const user = caller.as({ claims: { sub: "00000000-0000-4000-8000-000000000001", role: "authenticated", exp } });
  const check = ({ rows }: { readonly rows: readonly unknown[] }, expected = 1) => {
    if (rows.length !== expected) throw new Error(`Got ${rows.length} rows instead of ${expected}`);
  };
  const load = (callers: number, work: (id: number) => Promise<unknown>) => async (ops: number) => {
    let left = ops;
    await Promise.all(Array.from({ length: callers }, async () => {
      while (left-- > 0) await work(left % 900 + 1);
    }));
  };
  return {
    work: [
      {
        id: "query",
        title: "query() of one row, one caller",
        unit: "ns",
        run: load(1, async (id) => check(await manager.query(ONE, [id]))),
      },
      {
        id: "queries",
        title: `query() of one row, ${CALLERS} callers`,
        unit: "ns",
        run: load(CALLERS, async (id) => check(await manager.query(ONE, [id]))),
      },
      {
        id: "twenty",
        title: "query() of 20 rows of 5 columns, one caller",
        unit: "ns",
        run: load(1, async (id) => check(await manager.query(TWENTY, [id]), 20)),
      },
      {
        id: "as_caller",
        title: `as(caller).query(), ${CALLERS} callers`,
        unit: "ns",
        run: load(CALLERS, async (id) => check(await user.query(ONE, [id]))),
      },
      {
        id: "transaction",
        title: `transaction() of three, ${CALLERS} callers`,
        unit: "ns",
        run: load(CALLERS, (id) =>
          manager.transaction(async (tx) => {
            for (let n = 0; n < 3; n++) check(await tx.query(ONE, [id + n]));
          })),
      },
    ],
    async [Symbol.asyncDispose]() {
      await Promise.all([manager.shutdown(), caller.shutdown()]);
    },
  };
}
