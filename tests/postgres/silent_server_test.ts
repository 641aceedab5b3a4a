import { assert, assertEquals } from "@std/assert";
import { type PostgresConfig, PostgresConnectionManager } from "../../shared/postgres/mod.ts";
import { until } from "./chaos/rig.ts";
import { ScriptedServer, type Step } from "./scripted_server.ts";

/** The work that is in flight at the shutdown, by the step at which the server goes silent. */
interface Silence {
  readonly name: string;
  /** Returns whether the server is silent at this step from now on. */
  readonly at: (step: Step, texts: readonly string[]) => boolean;
  /** The last bytes before the silence. */
  readonly says?: Uint8Array;
  readonly config?: Partial<PostgresConfig>;
  readonly work: (manager: PostgresConnectionManager) => Promise<unknown>;
  /** True if the work must have begun on a connection that was open before. */
  readonly warm?: boolean;
}

const sends = (text: string) => (step: Step, texts: readonly string[]) =>
  step === "sync" && texts.some((one) => one.startsWith(text));

const query = (manager: PostgresConnectionManager) => manager.query("slow");

const SILENCES: readonly Silence[] = [
  { name: "the request for TLS", at: (step) => step === "ssl", config: { ssl: true }, work: query },
  {
    name: "the TLS handshake",
    at: (step) => step === "ssl",
    says: new TextEncoder().encode("S"),
    config: { ssl: true },
    work: query,
  },
  {
    name: "half of a message",
    at: (step) => step === "startup",
    says: new TextEncoder().encode("R\0\0"),
    work: query,
  },
  { name: "the startup", at: (step) => step === "startup", work: query },
  { name: "the password", at: (step) => step === "password", work: query },
  { name: "the detection of a pooler", at: (step) => step === "sync", config: { poolMode: "auto" }, work: query },
  { name: "a statement", at: sends("slow"), work: query },
  {
    name: "a statement and its cancel request",
    at: (step, texts) => step === "cancel" || sends("slow")(step, texts),
    work: query,
  },
  {
    name: "a statement that is being canceled",
    at: (step, texts) => step === "cancel" || sends("slow")(step, texts),
    work: (manager) => manager.query("slow", [], { timeoutMs: 20 }),
  },
  {
    name: "a statement of a transaction",
    at: sends("slow"),
    work: (manager) => manager.transaction((tx) => tx.query("slow")),
  },
  {
    name: "COMMIT",
    at: sends("COMMIT"),
    work: (manager) => manager.transaction((tx) => tx.query("update t set n = 1")),
  },
  {
    name: "ROLLBACK",
    at: sends("ROLLBACK"),
    work: (manager) =>
      manager.transaction(async (tx) => {
        await tx.query("update t set n = 1");
        throw new Error("no");
      }),
  },
  { name: "a list", at: sends("BEGIN"), work: (manager) => manager.transaction([{ query: "update t set n = 1" }]) },
  {
    name: "a reset",
    at: sends("SET SESSION AUTHORIZATION"),
    work: async (manager) => {
      const connection = await manager.lease();
      await connection.query("set search_path to a");
      connection.release();
      await manager.query("update t set n = 1");
    },
  },
  { name: "a validation", at: sends("SELECT 1"), config: { validateAfterIdleMs: 0 }, work: query, warm: true },
  {
    name: "several statements",
    at: sends("slow"),
    work: (manager) => Promise.all(Array.from({ length: 8 }, () => manager.query("slow"))),
  },
  {
    name: "a statement of a lease that is held",
    at: sends("slow"),
    work: async (manager) => {
      await using connection = await manager.lease();
      await connection.query("slow");
    },
  },
  { name: "a health check", at: (step) => step === "startup", work: (manager) => manager.healthCheck() },
];

for (const deadlineMs of [0, 100]) {
  for (const { name, at, says, config, work, warm } of SILENCES) {
    Deno.test(`PostgresConnectionManager.shutdown(${deadlineMs}) ends everything before a server that is silent at ${name}`, async () => {
      let silent = false;
      let met = 0;
      await using server = new ScriptedServer(async (step, connection, texts) => {
        if (!silent || !at(step, texts)) return false;
        if (says) await connection.send(says);
        met++;
        return true;
      });
      const manager = new PostgresConnectionManager({
        host: "127.0.0.1",
        port: server.port,
        user: server.user,
        password: "p",
        database: "d",
        minConnections: 0,
        maxConnections: 2,
        healthCheckIntervalMs: 0,
        poolMode: "session",
        // Far longer than the time that shutdown() may take.
        cancelTimeoutMs: 60_000,
        destroyTimeoutMs: 60_000,
        connectionTimeoutMs: 60_000,
        ...config,
      });
      if (warm) await manager.query("select 0");
      silent = true;
      let settled = false;
      const working = work(manager).then(() => settled = true, () => settled = true);
      await until(`the server is silent at ${name}`, () => met > 0 || settled);
      const start = performance.now();
      await manager.shutdown(deadlineMs);
      const tookMs = performance.now() - start;
      assertEquals([met > 0, settled], [true, true], "the work is settled when shutdown() has ended");
      await working;
      assert(tookMs < deadlineMs + 10_000, `it took ${Math.round(tookMs)} ms`);
      await until("the server sees every connection closed", () => server.open === 0);
    });
  }
}

Deno.test("PostgresConnectionManager.shutdown() closes idle connections to a silent server, and emits no error", async () => {
  for (const [deadlineMs, limitMs] of [[0, 10_000], [60_000, 10_000]] as const) {
    await using server = new ScriptedServer();
    const manager = new PostgresConnectionManager({
      host: "127.0.0.1",
      port: server.port,
      password: "p",
      poolMode: "session",
      minConnections: 3,
      destroyTimeoutMs: 60_000,
      healthCheckIntervalMs: 0,
    });
    const errors: unknown[] = [];
    manager.on("error", ({ error }) => errors.push(error));
    await until("it is connected", () => manager.getStats().idleConnections === 3);
    const start = performance.now();
    await manager.shutdown(deadlineMs);
    assert(performance.now() - start < limitMs);
    assertEquals(errors, []);
    await until("the server sees every connection closed", () => server.open === 0);
  }
});
