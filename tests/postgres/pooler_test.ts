import { assertEquals } from "@std/assert";
import type { BackendConnection } from "../../shared/postgres/connection/backend_connection.ts";
import type { PoolMode } from "../../shared/postgres/config/options.ts";
import { PoolerDetector } from "../../shared/postgres/connection/pooler.ts";

const SUPAVISOR = "aws-0-eu-central-1.pooler.supabase.com";

/** A connection whose server process has number 7, by its key and by its own answer. */
function connectionTo(pid: unknown): { connection: BackendConnection; queries: string[] } {
  const queries: string[] = [];
  const connection: Pick<BackendConnection, "run" | "backendKey"> = {
    run: ([statement]) => {
      queries.push(statement?.text ?? "");
      return Promise.resolve([{ rows: [{ pid }], rowCount: 1, command: "SELECT", fields: [] }]);
    },
    backendKey: { processId: 7, secretKey: new Uint8Array(4) } as unknown as BackendConnection["backendKey"],
  };
  return { connection: connection as BackendConnection, queries };
}

Deno.test("PoolerDetector.mode is known by poolMode and by the addresses of Supavisor, before the first connection", () => {
  const mode = (host: string, port: number, poolMode: PoolMode = "auto") =>
    new PoolerDetector({ host, port, poolMode }).mode;
  assertEquals(mode("db.test", 5432), undefined);
  assertEquals(mode("db.test", 6543), "transaction");
  assertEquals(mode("db.test", 6543, "session"), "session");
  assertEquals(mode("db.test", 5432, "transaction"), "transaction");
  assertEquals(mode(SUPAVISOR, 5432), "session");
  assertEquals(mode(SUPAVISOR, 6543), "transaction");
  assertEquals(mode(SUPAVISOR, 5433), undefined);
  assertEquals(mode(`${SUPAVISOR}.test`, 5432), undefined);
});

Deno.test("PoolerDetector.ownsSession() compares the process of the session with that of the login, once", async () => {
  for (
    const [pid, owns, mode] of [[7, true, "session"], [8, false, "transaction"], [null, false, "transaction"]] as const
  ) {
    const detector = new PoolerDetector({ host: "db.test", port: 5432, poolMode: "auto" });
    const { connection, queries } = connectionTo(pid);
    assertEquals([await detector.ownsSession(connection), await detector.ownsSession(connection)], [owns, owns]);
    assertEquals([detector.mode, queries], [mode, ["SELECT pg_backend_pid() AS pid"]]);
  }
});

Deno.test("PoolerDetector.ownsSession() queries nothing where the mode is known", async () => {
  const { connection, queries } = connectionTo(7);
  const detector = new PoolerDetector({ host: "db.test", port: 6543, poolMode: "auto" });
  assertEquals([await detector.ownsSession(connection), queries], [false, []]);
});
