import { assert, assertEquals, assertRejects, assertStringIncludes } from "@std/assert";
import { cleanup, SSHTunnel, TunnelChannelRefusedError, type TunnelConfig } from "../../../shared/data/tunnel/mod.ts";
import { ConnectionBrokenError, ConnectionLostError, QueryTimeoutError } from "../../../shared/postgres/mod.ts";
import type { PostgresOptions } from "../../../shared/postgres/mod.ts";
import { PoolClosedError } from "../../../shared/pool/mod.ts";
import { component } from "../../support/components.ts";
import { until } from "../../support/until.ts";
import { TestDatabase } from "../../postgres/support.ts";
import { withTunnel } from "./rig.ts";
import { Sshd } from "./sshd.ts";

const sshd = component("sshd");

Deno.test({
  name: `PostgresConnectionManager through SSHTunnel${sshd.note}`,
  ignore: sshd.ignore,
  async fn(t) {
    await using server = await Sshd.start();
    await using database = await TestDatabase.start();
    const { port } = database.options();
    const config = (options: Partial<TunnelConfig> = {}) => server.config(port, { retryDelay: 20, ...options });
    const through = (tunnel: SSHTunnel, options: PostgresOptions = {}) =>
      database.manager({ ...tunnel.postgresOptions(), ...options });

    await t.step("query(), transaction(), cursors of rows and cancellation work on channels", async () => {
      await withTunnel(config(), async (tunnel) => {
        await tunnel.connect();
        const manager = through(tunnel);
        const { rows } = await manager.query("select repeat('x', 100000) as text from generate_series(1, 50)");
        assertEquals(rows.length, 50);
        const sums = await Promise.all(
          Array.from({ length: 100 }, (_, n) => manager.query("select $1::int as n", [n])),
        );
        assertEquals(sums.map(({ rows }) => rows[0]?.["n"]), Array.from({ length: 100 }, (_, n) => n));
        await assertRejects(() => manager.query("select pg_sleep(60)", [], { timeoutMs: 50 }), QueryTimeoutError);
        await manager.transaction(async (tx) => void await tx.query("select 1"));
        assertEquals(tunnel.getStats().connects, 1);
        await manager.shutdown();
        await until("every channel is closed", () => tunnel.getStats().channels === 0);
      });
    });

    await t.step("a tunnel with fewer channels than connections serves every statement, and cancels", async () => {
      await withTunnel(config({ maxPoolSize: 2 }), async (tunnel) => {
        const manager = through(tunnel, { maxConnections: 8 });
        const all = await Promise.all(Array.from({ length: 60 }, () => manager.query("select pg_sleep(0.01)")));
        assertEquals(all.length, 60);
        const { circuit } = manager.getStats();
        assertEquals(circuit?.state, "closed");
        // All channels are in use: a request to cancel has some of its own.
        const slow = Array.from(
          { length: 2 },
          () => assertRejects(() => manager.query("select pg_sleep(60)", [], { timeoutMs: 100 }), QueryTimeoutError),
        );
        await Promise.all(slow);
        assertEquals((await manager.healthCheck()).healthy, true);
        await manager.shutdown();
      });
    });

    await t.step(
      "the tunnel dies under load: running statements are ConnectionLost, and the next ones work",
      async () => {
        await withTunnel(config(), async (tunnel) => {
          const manager = through(tunnel);
          await manager.query("select 1");
          let [served, lost, stop] = [0, 0, false];
          const others: unknown[] = [];
          const load = Array.from({ length: 10 }, async () => {
            while (!stop) {
              await manager.query("select pg_sleep(0.005)").then(() => served++, (error) => {
                // One that was about to start knows that nothing was sent.
                if (error instanceof ConnectionLostError || error instanceof ConnectionBrokenError) lost++;
                else others.push(error);
              });
            }
          });
          for (let kills = 0; kills < 3; kills++) {
            const from = served;
            await until("statements are served", () => served > from + 50);
            await server.signalSessions("SIGKILL");
            await until("the tunnel is lost", () => tunnel.getStats().losses > kills);
          }
          const from = served;
          await until("statements are served again", () => served > from + 50);
          stop = true;
          await Promise.all(load);
          assert(lost > 0);
          assertEquals(others, []);
          assertEquals(tunnel.getStats().losses, 3);
          await manager.shutdown();
        });
      },
    );

    await t.step("sshd restarts: statements fail with its reason, and work again soon after its start", async () => {
      await withTunnel(config(), async (tunnel) => {
        const manager = through(tunnel, { connectionTimeoutMs: 1_000 });
        await manager.query("select 1");
        await server.kill();
        await until("the tunnel is lost", () => !tunnel.isConnectedToTunnel());
        const error = await assertRejects(() => manager.query("select 1"), Error);
        assertStringIncludes(`${error.message} ${(error.cause as Error | undefined)?.message}`, "SSH server");
        assertEquals((await manager.healthCheck()).healthy, false);
        await server.restart();
        const ms = await until("it is served", () => manager.query("select 1").then(() => true, () => false));
        assert(ms < 5_000, `${ms} ms`);
        await manager.shutdown();
      });
    });

    await t.step("healthCheck() verifies the tunnel first, and connects it again", async () => {
      await withTunnel(config(), async (tunnel) => {
        const manager = through(tunnel);
        assertEquals((await manager.healthCheck()).healthy, true);
        assertEquals(tunnel.isConnectedToTunnel(), true);
        await server.stop();
        await new Promise((resolve) => setTimeout(resolve, 1_050)); // a result is cached for a second
        const { healthy, error } = await manager.healthCheck();
        assertEquals(healthy, false);
        assertStringIncludes(String(error?.message), "health check");
        assertEquals(tunnel.isConnectedToTunnel(), false);
        await server.continue();
        await until("it is healthy", async () => (await manager.healthCheck()).healthy);
        await manager.shutdown();
      });
      await withTunnel(server.config(1), async (tunnel) => {
        const { healthy, error } = await through(tunnel, { retries: false }).healthCheck();
        assertEquals(healthy, false);
        const cause = error?.cause ?? error;
        assert(cause instanceof TunnelChannelRefusedError, String(error));
        assertEquals(tunnel.isConnectedToTunnel(), true);
      });
    });

    await t.step("cleanup() rejects new work, drains, aborts what is left, disconnects, and resets", async () => {
      const tunnel = SSHTunnel.initializeInstance(config());
      const manager = through(tunnel);
      const order: string[] = [];
      const drained = manager.query("select pg_sleep(0.2)").then(() => order.push("drained"));
      const aborted = manager.query("select pg_sleep(60)").then(() => {}, () => order.push("aborted"));
      const direct = database.manager();
      await until("both run", async () => {
        const sleeping = "select 1 from pg_stat_activity where query like 'select pg_sleep%' and state = 'active'";
        return (await direct.query(sleeping)).rows.length === 2;
      });
      tunnel.on("error", () => void order.push("error"));
      const cleaned = cleanup(manager, 600).then(() => order.push("cleaned"));
      await assertRejects(() => manager.query("select 1"), PoolClosedError);
      assertEquals(tunnel.isConnectedToTunnel(), true);
      await Promise.all([drained, aborted, cleaned]);
      assertEquals(order, ["drained", "aborted", "cleaned"]);
      assertEquals(tunnel.isConnectedToTunnel(), false);
      await assertRejects(async () => await SSHTunnel.getInstance().connect(), Error, "SSHTunnel not initialized");
      await until("the server has no session", async () => (await server.sessions()).length === 0);
      await cleanup();
    });

    await t.step("the specification's usage works with its local port", async () => {
      const tunnel = SSHTunnel.initializeInstance(config({ localPort: 0 }));
      await tunnel.connect();
      const manager = database.manager({ host: "localhost", port: tunnel.localPort ?? 0 });
      if (tunnel.isConnectedToTunnel()) assertEquals((await manager.query("select 1 as one")).rows, [{ one: 1 }]);
      await manager.shutdown();
      await tunnel.disconnect();
      SSHTunnel.resetInstance();
    });
  },
});
