import { assert, assertEquals, assertInstanceOf } from "@std/assert";
import { CreateFailedError } from "../../shared/pool/mod.ts";
import {
  type PostgresConfig,
  PostgresConnectionManager,
  QueryTimeoutError,
  TlsError,
} from "../../shared/postgres/mod.ts";
import {
  AUTHORITY,
  CLIENT_CERTIFICATE,
  CLIENT_KEY,
  EXPIRED_CERTIFICATE,
  EXPIRED_KEY,
  OTHER_AUTHORITY,
  SERVER_CERTIFICATE,
  SERVER_KEY,
} from "./certificates.ts";
import { TestDatabase, thrownBy } from "./support.ts";

/** Puts files where the server looks for its certificates. */
async function install(admin: PostgresConnectionManager, files: Readonly<Record<string, string>>): Promise<void> {
  const { rows } = await admin.query<{ data_directory: string }>("show data_directory");
  const folder = rows[0]?.data_directory ?? "";
  const { uid, gid } = await Deno.stat(folder);
  for (const [name, pem] of Object.entries(files)) {
    await Deno.writeTextFile(`${folder}/${name}`, pem, { mode: 0o600 });
    if (Deno.uid() === 0) await Deno.chown(`${folder}/${name}`, uid, gid);
  }
}

/** Has the server speak TLS from now on. */
async function enableTls(database: TestDatabase): Promise<void> {
  const admin = database.manager();
  const files = { "server.crt": SERVER_CERTIFICATE, "server.key": SERVER_KEY, "authority.crt": AUTHORITY };
  await install(admin, files);
  await admin.query("alter system set ssl_ca_file = 'authority.crt'");
  await admin.query("alter system set ssl = on");
  await admin.query("select pg_reload_conf()");
  const shown = async () => (await admin.query("show ssl")).rows[0]?.["ssl"];
  for (let turn = 0; turn < 200 && await shown() !== "on"; turn++) {
    await new Promise((resolve) => setTimeout(resolve, 10));
  }
}

Deno.test("PostgresConnectionManager with TLS", async (t) => {
  await using database = await TestDatabase.start();

  await t.step("query() rejects with TLS_NOT_OFFERED and the remedy when the server offers no TLS", async () => {
    const error = await thrownBy(() => database.manager({ ssl: true }).query("select 1"), CreateFailedError);
    assertInstanceOf(error.cause, TlsError);
    assertEquals(error.cause.code, "TLS_NOT_OFFERED");
    assert(error.message.includes("sslmode=disable"), error.message);
  });

  await enableTls(database);
  const connect = (config: Partial<PostgresConfig>) => database.manager({ maxConnections: 1, ...config });
  const state = "select ssl, client_dn from pg_stat_ssl where pid = pg_backend_pid()";

  for (const host of ["localhost", "127.0.0.1"]) {
    await t.step(`query() accepts a server that proves its name: ${host}`, async () => {
      const manager = connect({ host, ssl: { ca: AUTHORITY } });
      assertEquals((await manager.query(state)).rows, [{ ssl: true, client_dn: null }]);
    });
  }

  await t.step("query() rejects at once when the authority of the server is not trusted", async () => {
    const started = performance.now();
    const manager = connect({ ssl: true, acquireTimeoutMs: 60_000 });
    const error = await thrownBy(() => manager.query("select 1"), CreateFailedError);
    assert(performance.now() - started < 20_000);
    assertInstanceOf(error.cause, TlsError);
    assertEquals(error.cause.code, "TLS_UNVERIFIED");
    assert(error.message.includes("DB_SSL_CA"), error.message);
  });

  // Only Linux has all of 127.0.0.0/8 for itself.
  await t.step({
    name: "query() rejects when the server has another name",
    ignore: Deno.build.os !== "linux",
    fn: async () => {
      using listener = Deno.listen({ hostname: "127.0.0.2", port: 0 });
      const { hostname, port } = new URL(database.server.url);
      const relay = (async () => {
        const near = await listener.accept();
        const far = await Deno.connect({ hostname, port: Number(port) });
        await Promise.allSettled([near.readable.pipeTo(far.writable), far.readable.pipeTo(near.writable)]);
      })();
      const manager = connect({ host: "127.0.0.2", port: listener.addr.port, ssl: { ca: AUTHORITY } });
      const error = await thrownBy(() => manager.query("select 1"), CreateFailedError);
      assertInstanceOf(error.cause, TlsError);
      assert(/name|altname|127\.0\.0\.2/i.test(error.message), error.message);
      await relay;
    },
  });

  await t.step("ssl.rejectUnauthorized false accepts any certificate", async () => {
    const manager = connect({ ssl: { rejectUnauthorized: false } });
    assertEquals((await manager.query(state)).rows, [{ ssl: true, client_dn: null }]);
  });

  await t.step("ssl.cert and ssl.key authenticate the client, and appear nowhere", async () => {
    const manager = connect({ ssl: { ca: AUTHORITY, cert: CLIENT_CERTIFICATE, key: CLIENT_KEY } });
    assertEquals((await manager.query(state)).rows, [{ ssl: true, client_dn: "/CN=authenticator" }]);
    const shown = Deno.inspect(manager, { depth: 9, showHidden: true }) + JSON.stringify(manager.config);
    assert(!shown.includes("PRIVATE KEY"));
  });

  await t.step("query() sends its cancel request over TLS", async () => {
    const manager = connect({ ssl: { ca: AUTHORITY } });
    await thrownBy(() => manager.query("select pg_sleep(20)", [], { timeoutMs: 50 }), QueryTimeoutError);
    assertEquals((await manager.query("select 1 as n")).rows, [{ n: 1 }]);
    assertEquals(manager.getStats().totalCreated, 1);
  });

  await t.step("query() rejects when the certificate has expired", async () => {
    const admin = database.manager();
    await install(admin, { "server.crt": EXPIRED_CERTIFICATE, "server.key": EXPIRED_KEY });
    await admin.query("select pg_reload_conf()");
    // It reads the new files when it has time to: until then it serves the old certificate.
    const connects = () => connect({ ssl: { ca: AUTHORITY } }).query("select 1").then(() => true, () => false);
    for (let turn = 0; turn < 1_000 && await connects(); turn++) {
      await new Promise((resolve) => setTimeout(resolve, 10));
    }
    const refused = connect({ ssl: { ca: OTHER_AUTHORITY } });
    const error = await thrownBy(() => refused.query("select 1"), CreateFailedError);
    assertInstanceOf(error.cause, TlsError);
    assertEquals(error.cause.code, "TLS_UNVERIFIED");
    const unverified = connect({ ssl: { ca: OTHER_AUTHORITY, rejectUnauthorized: false } });
    assertEquals((await unverified.query(state)).rows, [{ ssl: true, client_dn: null }]);
  });
});
