/** The circuit of a Postgres target: connections that are lost under statements. */
import { assertEquals, assertRejects, assertThrows } from "@std/assert";
import { PostgresError } from "../../shared/postgres/mod.ts";
import { CircuitOpenError } from "../../shared/resilience/mod.ts";
import { FakeConnection, LOST, never, openedByLosses, REFUSED, Setup } from "./target_circuit_support.ts";

Deno.test("TargetCircuit opens when connections are lost under statements in a row, without a wait", async () => {
  const setup = new Setup();
  for (let time = 0; time < 5; time++) {
    assertEquals(setup.state, "closed");
    const connection = await setup.connect();
    await setup.clock.advance(10);
    setup.lose(connection);
  }
  assertEquals(setup.state, "open");
  assertThrows(() => setup.circuit.admit(), CircuitOpenError);
});

Deno.test("TargetCircuit opened by losses closes when a new connection has answered a statement", async () => {
  for (const look of ["admit", "stats"] as const) {
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

Deno.test("TargetCircuit opened by losses lets no waiter of before connect until a probe is due, and then goes on", async () => {
  const setup = new Setup();
  for (let time = 0; time < 5; time++) setup.lose(await setup.connect());
  const error = await assertRejects(() => setup.connect(), CircuitOpenError);
  assertEquals([error.retryAfterMs, error.cause], [500, LOST]);
  await setup.clock.advance(499);
  await assertRejects(() => setup.connect(), CircuitOpenError);
  assertEquals(setup.state, "open");
  await setup.clock.advance(1);
  await setup.connect();
  assertEquals(setup.state, "half-open");
});

Deno.test("TargetCircuit.admitHealthCheck() lets attempts through although losses have opened the circuit", async () => {
  const setup = new Setup();
  for (let time = 0; time < 5; time++) setup.lose(await setup.connect());
  const end = setup.circuit.admitHealthCheck();
  setup.lose(await setup.connect());
  end();
  await assertRejects(() => setup.connect(), CircuitOpenError);
});

Deno.test("TargetCircuit opened by losses opens again when the new connection is lost, too", async () => {
  const setup = await openedByLosses();
  setup.lose(await setup.connect());
  assertEquals(setup.circuit.stats(), { state: "open", retryAfterMs: 500, rejected: 0 });
  assertThrows(() => setup.circuit.admit(), CircuitOpenError);
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

Deno.test("TargetCircuit opened by losses forgets a new connection that died before its attempt ended", async () => {
  const setup = await openedByLosses();
  const dead = new FakeConnection(setup.clock.now());
  dead.death = LOST;
  await setup.circuit.attempt(() => Promise.resolve(dead), never);
  assertEquals(setup.circuit.breaker.snapshot(), { state: "half-open", probes: 0 });
});

Deno.test("TargetCircuit counts the loss of a connection that was a probe once the circuit has closed", async () => {
  const setup = await openedByLosses();
  const [first, ...others] = [await setup.connect(), await setup.connect(), await setup.connect()];
  first.answered++;
  assertEquals(setup.circuit.stats().state, "closed");
  await setup.clock.advance(10);
  for (const connection of others) setup.lose(connection);
  for (let time = 0; time < 4; time++) {
    const connection = await setup.connect();
    assertEquals(setup.state, "closed");
    await setup.clock.advance(10);
    setup.lose(connection);
  }
  assertEquals(setup.state, "open");
});

Deno.test("TargetCircuit counts no answer of a connection that was a probe of an earlier outage", async () => {
  const setup = await openedByLosses();
  const [first, second] = [await setup.connect(), await setup.connect()];
  first.answered++;
  assertEquals(setup.circuit.stats().state, "closed");
  second.answered += 100;
  await setup.fail(REFUSED, 6, 1_000); // the answers count once
  assertEquals(setup.circuit.stats().state, "open");
});

Deno.test("TargetCircuit counts further answers of a new connection where several successes are required", async () => {
  const setup = new Setup({}, { successesToClose: 3 });
  await setup.fail(REFUSED, 5, 1_000);
  const connection = await setup.connect();
  connection.answered++;
  assertEquals(setup.state, "half-open");
  connection.answered++;
  assertEquals(setup.circuit.breaker.snapshot(), { state: "closed" });
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
