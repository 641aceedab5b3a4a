/**
 * The circuit of a Postgres target on a fake clock, with connections that a test breaks.
 *
 * @module
 */
import { assertEquals } from "@std/assert";
import {
  type CircuitConfig,
  type ObservedConnection,
  TargetCircuit,
} from "../../shared/postgres/connection/target_circuit.ts";
import { type CircuitBreakerConfig } from "../../shared/pool/mod.ts";
import { ConnectionError } from "../../shared/postgres/errors/connection_error.ts";
import { FakeClock } from "../support/fake_clock.ts";

/** A signal that never aborts. */
export const never = new AbortController().signal;
const CONFIG: CircuitConfig = {
  host: "db",
  port: 5432,
  connect: undefined,
  user: "postgres",
  database: "app",
  ssl: false,
  options: undefined,
  circuitBreaker: true,
  connectionTimeoutMs: 2_000,
  connectRetryMs: 0,
  retries: true,
};
/** The error of a port that no server listens at. */
export const REFUSED = new ConnectionError("ECONNREFUSED", "connection refused");
/** The error of a connection that broke. */
export const LOST = new ConnectionError("ECONNRESET", "connection reset");

/** A connection, as the circuit sees it. */
export class FakeConnection implements ObservedConnection {
  establishedAt: number;
  answered = 0;
  inFlight = 0;
  death: Error | undefined = undefined;
  constructor(establishedAt: number) {
    this.establishedAt = establishedAt;
  }
}

/** A circuit on a fake clock. */
export class Setup {
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

/** A circuit that connections lost under statements have opened. */
export async function openedByLosses(): Promise<Setup> {
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
