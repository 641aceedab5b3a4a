import { assertEquals, assertStrictEquals, assertThrows } from "@std/assert";
import { ConfigError } from "../../shared/pool/mod.ts";
import { type PostgresConfig, PostgresConnectionManager } from "../../shared/postgres/mod.ts";
import { until } from "./chaos/rig.ts";
import { TestDatabase } from "./support.ts";

Deno.test("PostgresConnectionManager events", async (t) => {
  await using database = await TestDatabase.start();
  const admin = database.manager();

  await t.step("on() forwards the events of the pool, with the id of the connection", async () => {
    const manager = database.manager({ maxConnections: 1 });
    const events: string[] = [];
    manager.on("created", ({ resourceId }) => events.push(`created ${resourceId}`));
    manager.on("acquired", ({ resourceId }) => events.push(`acquired ${resourceId}`));
    manager.on("released", ({ resourceId }) => events.push(`released ${resourceId}`));
    manager.on("waited", ({ lane }) => events.push(`waited ${lane}`));
    {
      await using _lease = await manager.lease();
    }
    await until("released", () => events.includes("released 1"));
    assertEquals(events, ["waited normal", "created 1", "acquired 1", "released 1"]);
  });

  await t.step("on() reports a lease that is held longer than leakThresholdMs, and its return", async () => {
    const manager = database.manager({ maxConnections: 1, leakThresholdMs: 50 });
    const events: string[] = [];
    manager.on("leaked", ({ heldMs }) => events.push(`leaked ${heldMs >= 50}`));
    manager.on("returned", ({ heldMs }) => events.push(`returned ${heldMs >= 50}`));
    const lease = await manager.lease();
    await until("leaked", () => events.length > 0);
    lease.release();
    await until("returned", () => events.length > 1);
    assertEquals(events, ["leaked true", "returned true"]);
  });

  await t.step("on() gives an error the id of the connection that broke", async () => {
    const manager = database.manager({ maxConnections: 1 });
    const created: number[] = [];
    const broken: (number | undefined)[] = [];
    manager.on("created", ({ resourceId }) => created.push(resourceId));
    manager.on("error", ({ connectionId, source }) => broken.push(source === "invalidate" ? connectionId : undefined));
    await manager.query("select 1");
    for (let time = 1; time <= 2; time++) {
      const { rows } = await manager.query("select pg_backend_pid() as pid");
      await admin.query("select pg_terminate_backend($1)", [rows[0]?.["pid"]]);
      await until("broken", () => broken.length === time);
    }
    await until("created", () => created.length >= 2);
    assertEquals(broken, [1, 2]);
  });

  await t.step("on() turns a thrown value without a text into an error event too", async () => {
    const manager = database.manager({ maxConnections: 1 });
    const messages: string[] = [];
    manager.on("error", ({ error }) => messages.push(error.message));
    manager.on("healthCheck", () => {
      throw Object.create(null);
    });
    assertEquals((await manager.healthCheck()).healthy, true);
    assertEquals(messages, ["a thrown object without a text"]);
  });

  await t.step("on() turns what a listener throws into an error event", async () => {
    const manager = database.manager({ maxConnections: 1 });
    const errors: string[] = [];
    manager.on("healthCheck", () => {
      throw new Error("from a listener");
    });
    manager.on("error", ({ error, source }) => errors.push(`${source}: ${error.message}`));
    await manager.healthCheck();
    await until("error", () => errors.length > 0);
    assertEquals(errors, ["listener: from a listener"]);
  });

  await t.step("once() calls its listener once; off() and the subscription remove listeners", async () => {
    const manager = database.manager({ maxConnections: 1 });
    const calls: string[] = [];
    const never = () => calls.push("never");
    const first = () => calls.push("on");
    manager.once("acquired", () => calls.push("once"));
    manager.once("acquired", never);
    manager.off("acquired", never);
    manager.off("acquired", never);
    manager.on("acquired", first);
    manager.on("acquired", first);
    await manager.query("select 1");
    await until("calls", () => calls.length >= 3);
    assertEquals(calls, ["once", "on", "on"]);
    calls.length = 0;
    manager.off("acquired", first);
    await manager.query("select 1");
    await until("calls", () => calls.length >= 1);
    assertEquals(calls, ["on"]);
    manager.off("acquired", first);
    const disposed = manager.on("acquired", never);
    disposed[Symbol.dispose]();
    await manager.query("select 1");
    await new Promise((resolve) => setTimeout(resolve, 20));
    assertEquals(calls, ["on"]);
  });

  await t.step("record() passes wait and use times", async () => {
    const manager = database.manager({ maxConnections: 1 });
    const times: number[] = [];
    using _recording = manager.record({ waitTime: (ms) => times.push(ms), useTime: (ms) => times.push(ms) });
    await manager.query("select 1");
    assertEquals(times.length, 2);
  });

  await t.step("getInstance() returns one manager until its shutdown, and rejects other options", async () => {
    const options: Partial<PostgresConfig> = { ...database.options(), minConnections: 0, healthCheckIntervalMs: 0 };
    const manager = PostgresConnectionManager.getInstance(options);
    assertStrictEquals(PostgresConnectionManager.getInstance(), manager);
    assertStrictEquals(PostgresConnectionManager.getInstance({ ...options }), manager);
    const { issues } = assertThrows(
      () => PostgresConnectionManager.getInstance({ ...options, maxConnections: 3, password: "other" }),
      ConfigError,
    );
    assertEquals(issues.map(({ path }) => path).sort(), ["maxConnections", "password"]);
    await manager.shutdown();
    await using other = PostgresConnectionManager.getInstance({ ...options, maxConnections: 3 });
    assertEquals([other === manager, other.config.maxConnections], [false, 3]);
  });
});
