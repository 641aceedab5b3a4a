/** The circuit of a Postgres target: attempts to connect, and acquires that wait for them. */
import { assert, assertEquals, assertRejects, assertStrictEquals, assertThrows } from "@std/assert";
import { PoolerUnavailableError, PostgresError } from "../../shared/postgres/mod.ts";
import { CircuitOpenError } from "../../shared/resilience/mod.ts";
import { ConnectionError, ConnectTimeoutError } from "../../shared/postgres/errors/connection_error.ts";
import { TlsNotOfferedError } from "../../shared/postgres/errors/tls_error.ts";
import { PoolerRefusedError } from "../../shared/postgres/errors/pooler_error.ts";
import { FakeConnection, LOST, never, openedByLosses, REFUSED, Setup } from "./target_circuit_support.ts";

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

Deno.test("TargetCircuit.admit() lets acquires wait until connecting has failed for connectRetryMs", async () => {
  for (const [config, waitMs] of [[{}, 2_000], [{ connectRetryMs: 10_000 }, 10_000]] as const) {
    const setup = new Setup(config);
    await setup.fail(REFUSED, 5, 10);
    assertEquals(setup.state, "open");
    setup.circuit.admit();
    await setup.clock.advance(waitMs - 60);
    await setup.fail(REFUSED, 1, 9);
    setup.circuit.admit();
    await setup.clock.advance(1);
    const error = assertThrows(() => setup.circuit.admit(), CircuitOpenError);
    assertStrictEquals(error.cause, REFUSED);
    assertEquals([error.retryAfterMs, error.http.status], [499, 503]);
    assert(error.message.includes("db:5432/app"), error.message);
    assertEquals(setup.circuit.stats(), { state: "open", retryAfterMs: 499, rejected: 1 });
  }
});

Deno.test("TargetCircuit.admit() admits an acquire after openMs, and rejects others while its attempt runs", async () => {
  const setup = new Setup();
  await setup.fail(REFUSED, 5, 1_000);
  assertThrows(() => setup.circuit.admit(), CircuitOpenError);
  await setup.clock.advance(500);
  setup.circuit.admit();
  const { promise, reject } = Promise.withResolvers<never>();
  const attempt = setup.circuit.attempt(() => promise, never);
  assertEquals(setup.state, "half-open");
  assertThrows(() => setup.circuit.admit(), CircuitOpenError);
  // One that hangs does not keep others out.
  await setup.clock.advance(1_000);
  setup.circuit.admit();
  reject(REFUSED);
  await assertRejects(() => attempt, ConnectionError);
  assertEquals(setup.state, "open");
  assertThrows(() => setup.circuit.admit(), CircuitOpenError);
});

Deno.test("TargetCircuit.admit() lets one acquire wait for each probe, and one more each second while that is late", async () => {
  const setup = new Setup();
  await setup.fail(REFUSED, 5, 1_000);
  await setup.clock.advance(500);
  const ended = setup.circuit.admit();
  const error = assertThrows(() => setup.circuit.admit(), CircuitOpenError);
  assertEquals(error.retryAfterMs, 1_000);
  const attempt = setup.circuit.attempt(() => new Promise<FakeConnection>(() => {}), never);
  await setup.clock.advance(1_000);
  setup.circuit.admit();
  assertThrows(() => setup.circuit.admit(), CircuitOpenError);
  await setup.clock.advance(1_000);
  ended?.(); // it was late, and kept no other out
  const second = setup.circuit.admit();
  assertThrows(() => setup.circuit.admit(), CircuitOpenError);
  second?.(); // it was aborted
  setup.circuit.admit();
  assertEquals(setup.state, "half-open");
  void attempt;
});

Deno.test("TargetCircuit.attempt() closes the circuit when the server is full: it responds", async () => {
  const full = new PostgresError({ code: "53300", severity: "FATAL", message: "sorry, too many clients already" });
  const setup = new Setup();
  await setup.fail(REFUSED, 5, 1_000);
  await setup.fail(full);
  assertEquals(setup.state, "closed");
  // The next outage has its own time to wait.
  await setup.fail(REFUSED, 5, 10);
  assertEquals(setup.state, "open");
  setup.circuit.admit();

  const lost = await openedByLosses();
  await lost.fail(full);
  assertEquals(lost.state, "half-open");
});

Deno.test("TargetCircuit.attempt() counts a late failure from the latest success on", async () => {
  const setup = new Setup();
  const late = Promise.withResolvers<never>();
  const attempt = setup.circuit.attempt(() => late.promise, never).catch(() => {});
  await setup.clock.advance(5_000);
  setup.circuit.remove(await setup.connect());
  late.reject(REFUSED);
  await attempt;
  await setup.fail(REFUSED, 4, 10);
  assertEquals(setup.state, "open");
  setup.circuit.admit(); // connecting has failed for 40 ms
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
  setup.circuit.admit();
  // The next outage has its own time to wait.
  await setup.fail(REFUSED, 5, 10);
  assertEquals(setup.state, "open");
  setup.circuit.admit();
});

Deno.test("TargetCircuit.attempt() runs during an open circuit: its pauses are those of the pool", async () => {
  const setup = new Setup();
  await setup.fail(REFUSED, 5, 1_000);
  await setup.connect();
  assertEquals(setup.state, "closed");
});

Deno.test("TargetCircuit.admit() admits acquires while a connection may work", async (t) => {
  const open = async (connection: (setup: Setup) => Promise<FakeConnection>) => {
    const setup = new Setup();
    const live = await connection(setup);
    await setup.fail(REFUSED, 5, 1_000);
    assertEquals(setup.state, "open");
    return { setup, live };
  };
  await t.step("one that is idle", async () => {
    const { setup } = await open((setup) => setup.connect());
    setup.circuit.admit();
  });
  await t.step("not one that has not answered since the circuit opened", async () => {
    const { setup, live } = await open(async (setup) => {
      const connection = await setup.connect();
      connection.answered = 7;
      connection.inFlight = 1;
      return connection;
    });
    assertThrows(() => setup.circuit.admit(), CircuitOpenError);
    live.answered++;
    setup.circuit.admit();
  });
  await t.step("not one that has died", async () => {
    const { setup, live } = await open((setup) => setup.connect());
    live.death = LOST;
    assertThrows(() => setup.circuit.admit(), CircuitOpenError);
    live.death = undefined;
    setup.circuit.admit();
    setup.circuit.remove(live);
    assertThrows(() => setup.circuit.admit(), CircuitOpenError);
  });
  await t.step("not one of another pool", async () => {
    const { setup } = await open((setup) => setup.connect());
    assertThrows(() => setup.another().admit(), CircuitOpenError);
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

Deno.test("TargetCircuit.admit() and attempt() reject while an operator has opened the circuit", async () => {
  const setup = new Setup();
  await setup.connect();
  setup.circuit.breaker.force("open");
  const error = assertThrows(() => setup.circuit.admit(), CircuitOpenError);
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
  setup.circuit.admit();
  await attempt();
  assert(ran);
});

Deno.test("TargetCircuit judges time lazily: after a freeze an acquire is admitted at once", async () => {
  const setup = new Setup();
  await setup.fail(REFUSED, 5, 1_000);
  await setup.clock.advance(600_000);
  setup.circuit.admit();
  await setup.connect();
  assertEquals(setup.state, "closed");
});
