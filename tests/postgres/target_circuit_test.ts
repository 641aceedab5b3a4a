import { assert, assertEquals, assertRejects, assertStrictEquals, assertThrows } from "@std/assert";
import { PoolerUnavailableError, PostgresError } from "../../shared/postgres/mod.ts";
import {
  type CircuitConfig,
  type ObservedConnection,
  TargetCircuit,
} from "../../shared/postgres/connection/target_circuit.ts";
import { type CircuitBreakerConfig } from "../../shared/pool/mod.ts";
import { CircuitOpenError } from "../../shared/resilience/mod.ts";
import { ConnectTimeoutError } from "../../shared/postgres/errors/connect_error.ts";
import { ConnectionError } from "../../shared/postgres/errors/errors.ts";
import { TlsNotOfferedError } from "../../shared/postgres/errors/tls_error.ts";
import { PoolerRefusedError } from "../../shared/postgres/errors/pooler_error.ts";
import { FakeClock } from "../support/fake_clock.ts";

const never = new AbortController().signal;
const CONFIG: CircuitConfig = {
  host: "db",
  port: 5432,
  user: "postgres",
  database: "app",
  ssl: false,
  options: undefined,
  circuitBreaker: true,
  connectionTimeoutMs: 2_000,
  connectRetryMs: 0,
  retries: true,
};
const REFUSED = new ConnectionError("ECONNREFUSED", "connection refused");
const LOST = new ConnectionError("ECONNRESET", "connection reset");

class FakeConnection implements ObservedConnection {
  establishedAt: number;
  answered = 0;
  inFlight = 0;
  death: Error | undefined = undefined;
  constructor(establishedAt: number) {
    this.establishedAt = establishedAt;
  }
}

class Setup {
  readonly clock = new FakeClock();
  readonly circuit: TargetCircuit;

  constructor(config: Partial<CircuitConfig> = {}, rules: CircuitBreakerConfig = {}) {
    this.circuit = this.another(config, rules);
  }

  /** Another pool on the same clock. */
  another(config: Partial<CircuitConfig> = {}, rules: CircuitBreakerConfig = {}): TargetCircuit {
    return new TargetCircuit({ ...CONFIG, ...config }, rules, this.clock, () => 0);
  }

  get state(): string {
    return this.circuit.breaker.snapshot().state;
  }

  async fail(error: unknown, times = 1, tookMs = 100): Promise<void> {
    for (let time = 0; time < times; time++) {
      const connect = async () => {
        await this.clock.advance(tookMs);
        throw error;
      };
      await this.circuit.attempt(connect, never).catch(() => {});
    }
  }

  async connect(): Promise<FakeConnection> {
    const connection = await this.circuit.attempt(() => Promise.resolve(new FakeConnection(this.clock.now())), never);
    this.circuit.add(connection);
    return connection;
  }

  lose(connection: FakeConnection, error: unknown = LOST): void {
    connection.death = LOST;
    this.circuit.lost(connection, error);
    this.circuit.remove(connection);
  }
}

Deno.test("TargetCircuit opens after five attempts to connect that fail in a row", async () => {
  const setup = new Setup();
  await setup.fail(REFUSED, 4);
  assertEquals(setup.state, "closed");
  await setup.fail(REFUSED);
  assertEquals(setup.state, "open");
});

Deno.test("TargetCircuit.attempt() counts what says that the server is away, and nothing else", async (t) => {
  const reports = (code: string) => new PostgresError({ code, severity: "FATAL", message: "reported" });
  const away = [
    REFUSED,
    new ConnectionError("EHOSTUNREACH", "no route"),
    new ConnectTimeoutError("db", 5432, 2_000, true),
    new TlsNotOfferedError(),
    reports("57P03"),
    reports("57P01"),
    new PoolerUnavailableError("server login has been failing"),
  ];
  const others = [
    reports("53300"),
    new PoolerUnavailableError("(EMAXCONNSESSION) max clients reached"),
    reports("28P01"),
    reports("3D000"),
    new PoolerRefusedError("(EBANNED) banned"),
    new ConnectionError("EMFILE", "too many open files"),
    new Error("a mistake"),
  ];
  for (const [errors, state] of [[away, "open"], [others, "closed"]] as const) {
    for (const error of errors) {
      await t.step(`${state}: ${error.message.slice(0, 60)} ${Reflect.get(error, "code")}`, async () => {
        const setup = new Setup();
        await setup.fail(error, 5);
        assertEquals(setup.state, state);
      });
    }
  }
});

Deno.test("TargetCircuit.attempt() ignores an attempt that was aborted", async () => {
  const setup = new Setup();
  for (let time = 0; time < 5; time++) {
    await setup.circuit.attempt(() => Promise.reject(REFUSED), AbortSignal.abort()).catch(() => {});
  }
  assertEquals(setup.state, "closed");
});

Deno.test("TargetCircuit.check() lets acquires wait until connecting has failed for connectRetryMs", async () => {
  for (const [config, waitMs] of [[{}, 2_000], [{ connectRetryMs: 10_000 }, 10_000]] as const) {
    const setup = new Setup(config);
    await setup.fail(REFUSED, 5, 10);
    assertEquals(setup.state, "open");
    setup.circuit.check();
    await setup.clock.advance(waitMs - 60);
    await setup.fail(REFUSED, 1, 9);
    setup.circuit.check();
    await setup.clock.advance(1);
    const error = assertThrows(() => setup.circuit.check(), CircuitOpenError);
    assertStrictEquals(error.cause, REFUSED);
    assertEquals([error.retryAfterMs, error.http.status], [499, 503]);
    assert(error.message.includes("db:5432/app"), error.message);
    assertEquals(setup.circuit.stats(), { state: "open", retryAfterMs: 499, rejected: 1 });
  }
});

Deno.test("TargetCircuit.check() admits an acquire after openMs, and rejects others while its attempt runs", async () => {
  const setup = new Setup();
  await setup.fail(REFUSED, 5, 1_000);
  assertThrows(() => setup.circuit.check(), CircuitOpenError);
  await setup.clock.advance(500);
  setup.circuit.check();
  const { promise, reject } = Promise.withResolvers<never>();
  const attempt = setup.circuit.attempt(() => promise, never);
  assertEquals(setup.state, "half-open");
  assertThrows(() => setup.circuit.check(), CircuitOpenError);
  // One that hangs does not keep others out.
  await setup.clock.advance(1_000);
  setup.circuit.check();
  reject(REFUSED);
  await assertRejects(() => attempt, ConnectionError);
  assertEquals(setup.state, "open");
  assertThrows(() => setup.circuit.check(), CircuitOpenError);
});

Deno.test("TargetCircuit.attempt() closes the circuit with one success, whenever the attempt began", async () => {
  const setup = new Setup();
  const early = Promise.withResolvers<FakeConnection>();
  const attempt = setup.circuit.attempt(() => early.promise, never);
  await setup.fail(REFUSED, 5, 1_000);
  assertEquals(setup.state, "open");
  early.resolve(new FakeConnection(0));
  await attempt;
  assertEquals(setup.state, "closed");
  setup.circuit.check();
  // The next outage has its own time to wait.
  await setup.fail(REFUSED, 5, 10);
  assertEquals(setup.state, "open");
  setup.circuit.check();
});

Deno.test("TargetCircuit.attempt() runs during an open circuit: its pauses are those of the pool", async () => {
  const setup = new Setup();
  await setup.fail(REFUSED, 5, 1_000);
  await setup.connect();
  assertEquals(setup.state, "closed");
});

Deno.test("TargetCircuit opens when connections are lost under statements in a row, without a wait", async () => {
  const setup = new Setup();
  for (let time = 0; time < 5; time++) {
    assertEquals(setup.state, "closed");
    const connection = await setup.connect();
    await setup.clock.advance(10);
    setup.lose(connection);
  }
  assertEquals(setup.state, "open");
  assertThrows(() => setup.circuit.check(), CircuitOpenError);
});

/** A circuit that connections lost under statements have opened. */
async function openedByLosses(): Promise<Setup> {
  const setup = new Setup();
  for (let time = 0; time < 5; time++) {
    const connection = await setup.connect();
    await setup.clock.advance(10);
    setup.lose(connection);
  }
  assertEquals(setup.state, "open");
  await setup.clock.advance(500);
  return setup;
}

Deno.test("TargetCircuit opened by losses closes when a new connection has answered a statement", async () => {
  for (const look of ["check", "stats"] as const) {
    const setup = await openedByLosses();
    const connection = await setup.connect();
    setup.circuit[look]();
    assertEquals(setup.state, "half-open");
    connection.answered++;
    setup.circuit[look]();
    assertEquals(setup.state, "closed");
  }
  const setup = await openedByLosses();
  const connection = await setup.connect();
  connection.answered++;
  setup.circuit.remove(connection); // its statement was answered, and then it closed
  assertEquals(setup.state, "closed");
});

Deno.test("TargetCircuit opened by losses opens again when the new connection is lost, too", async () => {
  const setup = await openedByLosses();
  setup.lose(await setup.connect());
  assertEquals(setup.circuit.stats(), { state: "open", retryAfterMs: 500, rejected: 0 });
  assertThrows(() => setup.circuit.check(), CircuitOpenError);
});

Deno.test("TargetCircuit opened by losses learns nothing from a new connection that closes, or reaches its own limit", async () => {
  const setup = await openedByLosses();
  setup.circuit.remove(await setup.connect());
  assertEquals(setup.circuit.breaker.snapshot(), { state: "half-open", probes: 0 });
  setup.lose(await setup.connect(), new PostgresError({ code: "25P04", severity: "FATAL", message: "limit" }));
  assertEquals(setup.circuit.breaker.snapshot(), { state: "half-open", probes: 0 });
  await setup.fail(REFUSED);
  assertEquals(setup.state, "open");
  await setup.connect(); // connecting failed, and succeeds again
  assertEquals(setup.state, "closed");
});

Deno.test("TargetCircuit.lost() takes connections that break together for one failure", async () => {
  const setup = new Setup();
  const connections = await Promise.all(Array.from({ length: 20 }, () => setup.connect()));
  await setup.clock.advance(10);
  for (const connection of connections) setup.lose(connection);
  assertEquals(setup.state, "closed");
});

Deno.test("TargetCircuit.lost() ignores limits of the session, a full server, and a connection that it does not know", async () => {
  for (const code of ["25P03", "25P04", "53300"]) {
    const setup = new Setup();
    for (let time = 0; time < 6; time++) {
      const connection = await setup.connect();
      await setup.clock.advance(1);
      setup.lose(connection, new PostgresError({ code, severity: "FATAL", message: "limit" }));
    }
    assertEquals(setup.state, "closed", code);
  }
  const setup = new Setup();
  for (let time = 0; time < 6; time++) setup.circuit.lost(new FakeConnection(setup.clock.now() + time), LOST);
  assertEquals(setup.state, "closed");
});

Deno.test("TargetCircuit counts the answers to statements as successes, and not those to an attempt", async () => {
  for (const [answers, state] of [[0, "open"], [1, "closed"]] as const) {
    const setup = new Setup();
    for (let time = 0; time < 5; time++) {
      const connection = new FakeConnection(setup.clock.now());
      connection.answered = 3; // to its attempt
      setup.circuit.add(connection);
      connection.answered += answers;
      await setup.clock.advance(10);
      setup.lose(connection);
    }
    assertEquals(setup.state, state);
  }
});

Deno.test("TargetCircuit opens when half of the calls lose their connections", async () => {
  const setup = new Setup();
  let losses = 0;
  while (setup.state === "closed" && losses < 100) {
    const connection = await setup.connect();
    connection.answered++;
    await setup.clock.advance(10);
    setup.lose(connection);
    losses++;
  }
  assertEquals(losses, 10);
});

Deno.test("TargetCircuit stays closed when most statements are answered, however many connections are lost", async () => {
  const setup = new Setup();
  for (let time = 0; time < 200; time++) {
    const connection = await setup.connect();
    connection.answered += 1_000;
    await setup.clock.advance(10);
    setup.lose(connection);
  }
  assertEquals(setup.state, "closed");
});

Deno.test("TargetCircuit.check() admits acquires while a connection may work", async (t) => {
  const open = async (connection: (setup: Setup) => Promise<FakeConnection>) => {
    const setup = new Setup();
    const live = await connection(setup);
    await setup.fail(REFUSED, 5, 1_000);
    assertEquals(setup.state, "open");
    return { setup, live };
  };
  await t.step("one that is idle", async () => {
    const { setup } = await open((setup) => setup.connect());
    setup.circuit.check();
  });
  await t.step("not one that has not answered since the circuit opened", async () => {
    const { setup, live } = await open(async (setup) => {
      const connection = await setup.connect();
      connection.answered = 7;
      connection.inFlight = 1;
      return connection;
    });
    assertThrows(() => setup.circuit.check(), CircuitOpenError);
    live.answered++;
    setup.circuit.check();
  });
  await t.step("not one that has died", async () => {
    const { setup, live } = await open((setup) => setup.connect());
    live.death = LOST;
    assertThrows(() => setup.circuit.check(), CircuitOpenError);
    live.death = undefined;
    setup.circuit.check();
    setup.circuit.remove(live);
    assertThrows(() => setup.circuit.check(), CircuitOpenError);
  });
  await t.step("not one of another pool", async () => {
    const { setup } = await open((setup) => setup.connect());
    assertThrows(() => setup.another().check(), CircuitOpenError);
  });
});

Deno.test("TargetCircuit of pools that connect in the same way share their breaker, while one of them is open", () => {
  const setup = new Setup();
  const { breaker } = setup.circuit;
  const same = setup.another({ connectionTimeoutMs: 9 });
  assertStrictEquals(same.breaker, breaker);
  const others = [{ port: 1 }, { host: "other" }, { database: "other" }, { user: "other" }, { ssl: true }];
  for (const other of others) assert(setup.another(other).breaker !== breaker, JSON.stringify(other));
  assert(setup.another({}, { openMs: 9 }).breaker !== breaker);
  assertStrictEquals(setup.another({ host: "DB" }).breaker, breaker);
  for (const circuit of [setup.circuit, same]) circuit.close();
  assertStrictEquals(setup.another().breaker, breaker); // that of "DB" is open
});

Deno.test("TargetCircuit of a pool forgets its target with the last pool of it", async () => {
  const setup = new Setup();
  await setup.fail(REFUSED, 5);
  setup.circuit.close();
  assertEquals(setup.another().breaker.snapshot().state, "closed");
});

Deno.test("TargetCircuit.check() and attempt() reject while an operator has opened the circuit", async () => {
  const setup = new Setup();
  await setup.connect();
  setup.circuit.breaker.force("open");
  const error = assertThrows(() => setup.circuit.check(), CircuitOpenError);
  assertEquals([error.retryAfterMs, error.cause], [undefined, undefined]);
  let ran = false;
  const attempt = () =>
    setup.circuit.attempt(() => {
      ran = true;
      return Promise.resolve(new FakeConnection(0));
    }, never);
  await assertRejects(attempt, CircuitOpenError);
  assertEquals(ran, false);
  setup.circuit.breaker.force("closed");
  await setup.fail(REFUSED, 20);
  setup.circuit.check();
  await attempt();
  assert(ran);
});

Deno.test("TargetCircuit judges time lazily: after a freeze an acquire is admitted at once", async () => {
  const setup = new Setup();
  await setup.fail(REFUSED, 5, 1_000);
  await setup.clock.advance(600_000);
  setup.circuit.check();
  await setup.connect();
  assertEquals(setup.state, "closed");
});
