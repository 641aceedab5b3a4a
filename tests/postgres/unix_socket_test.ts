import { assertEquals } from "@std/assert";
import { AcquireTimeoutError } from "../../shared/pool/mod.ts";
import { ConnectionError, PostgresConnectionManager, QueryTimeoutError } from "../../shared/postgres/mod.ts";
import { TestDatabase, thrownBy } from "./support.ts";

/** A Unix socket at which a server is reached that listens on TCP only. */
function relay(path: string, hostname: string, port: number): AsyncDisposable {
  const listener = Deno.listen({ transport: "unix", path });
  const relays: Promise<unknown>[] = [];
  const accept = (async () => {
    for await (const near of listener) {
      const far = await Deno.connect({ hostname, port });
      relays.push(Promise.allSettled([near.readable.pipeTo(far.writable), far.readable.pipeTo(near.writable)]));
    }
  })();
  return {
    async [Symbol.asyncDispose]() {
      listener.close();
      await accept;
      await Promise.all(relays);
    },
  };
}

Deno.test({
  name: "PostgresConnectionManager connects and cancels over a Unix socket",
  ignore: Deno.build.os === "windows",
  async fn() {
    await using database = await TestDatabase.start();
    const { host: hostname, port, ...login } = database.options();
    const folder = await Deno.makeTempDir({ prefix: "pg-" });
    try {
      const config = { ...login, minConnections: 0, healthCheckIntervalMs: 0 };
      await using absent = new PostgresConnectionManager({ ...config, host: folder, acquireTimeoutMs: 500 });
      const error = await thrownBy(() => absent.query("select 1"), AcquireTimeoutError);
      assertEquals(error.cause instanceof ConnectionError && error.cause.code, "ECONNREFUSED");

      await using _relay = relay(`${folder}/.s.PGSQL.5433`, hostname, port);
      await using manager = new PostgresConnectionManager({ ...config, host: folder, port: 5433, maxConnections: 1 });
      await thrownBy(() => manager.query("select pg_sleep(20)", [], { timeoutMs: 50 }), QueryTimeoutError);
      assertEquals((await manager.query("select 1 as n")).rows, [{ n: 1 }]);
      // It was cancelled, and not cut.
      assertEquals(manager.getStats().totalCreated, 1);
    } finally {
      await Deno.remove(folder, { recursive: true });
    }
  },
});
