/**
 * Everything that can go wrong between a client and its Postgres, again and
 * again, in an order that a seed decides.
 *
 * @module
 */
import type { PostgresConnectionManager } from "../../../shared/postgres/mod.ts";
import type { Random } from "../../isolation/random.ts";
import type { ProxiedConnection } from "../../support/tcp_proxy.ts";
import { pause, type Rig } from "./rig.ts";

/** A fault: it has come and gone when the promise settles. */
type Fault = () => Promise<void>;

/** The longest duration of a fault, in ms. */
const LASTS_MS = 250;

/** The times from the server's being ready, in ms. */
export interface Recovery {
  /** To the next success. */
  readonly successMs: number;
  /** To the response to a new client that connected at once: the time that the machine alone takes. */
  readonly newcomerMs: number;
}

/** See the module. */
export class Storm {
  /** The number of times of each fault. */
  readonly counts = new Map<string, number>();
  /** The recovery times after each restart of the server. */
  readonly recoveries: Recovery[] = [];

  readonly #rig: Rig;
  readonly #operator: PostgresConnectionManager;
  readonly #random: Random;
  readonly #nextSuccess: () => Promise<void>;
  readonly #ending = Promise.withResolvers<undefined>();
  #over = false;
  #passing: Promise<void> = Promise.resolve();

  /**
   * @param operator Reaches the server past the proxy.
   * @param nextSuccess Resolves when the next transfer succeeds.
   */
  constructor(
    rig: Rig,
    operator: PostgresConnectionManager,
    random: Random,
    nextSuccess: () => Promise<void>,
  ) {
    this.#rig = rig;
    this.#operator = operator;
    this.#random = random;
    this.#nextSuccess = nextSuccess;
  }

  /**
   * Breaks loose.
   *
   * @returns A promise that rejects if a fault could not be brought about or ended, and settles with the storm.
   */
  begin(): Promise<void> {
    this.#passing = this.#blow();
    this.#passing.catch(() => {});
    return this.#passing;
  }

  /** Ends with the fault that is there; everything is well then. */
  async end(): Promise<void> {
    this.#over = true;
    this.#ending.resolve(undefined);
    await this.#passing;
    // A cut may still be about to come, on a connection that has been idle since.
    for (const connection of this.#rig.proxy.connections) connection.cutAfter(Infinity);
  }

  async #blow(): Promise<void> {
    const faults = Object.entries(this.#faults());
    for (let deck = [...faults]; !this.#over; deck = deck.length > 0 ? deck : [...faults]) {
      const [[name, fault] = ["", () => Promise.resolve()]] = deck.splice(this.#random.below(deck.length), 1);
      // Each comes once soon, so that a short run meets them all.
      const calmMs = this.counts.size < faults.length ? 120 : 600;
      await pause(calmMs * (0.3 + this.#random.next()));
      await fault();
      this.counts.set(name, (this.counts.get(name) ?? 0) + 1);
    }
  }

  #faults(): Record<string, Fault> {
    const { proxy, database: { server } } = this.#rig;
    return {
      "reset of all": () => Promise.resolve(proxy.reset()),
      "reset of some": () => this.#some((connection) => connection.reset()),
      "silence of some": async () => {
        await this.#some((connection) => connection.stall());
        await this.#while(() => proxy.resume());
      },
      "silence of all": async () => {
        proxy.stall();
        await this.#while(() => proxy.resume());
      },
      "refusal": async () => {
        await proxy.refuse();
        proxy.reset();
        await this.#while(() => proxy.accept());
      },
      "slowness": async () => {
        proxy.latencyMs = 1 + this.#random.below(5);
        await this.#while(() => proxy.latencyMs = 0);
      },
      "cut in the middle": () => this.#some((connection) => connection.cutAfter(this.#random.below(2_000))),
      "terminated backends": () =>
        this.#operate(
          "select pg_terminate_backend(pid) from pg_stat_activity where usename = 'authenticator' and random() < 0.4",
        ),
      "too many connections": async () => {
        await this.#operate("alter role authenticator connection limit 2");
        proxy.reset();
        await this.#while(() => this.#operate("alter role authenticator connection limit -1"));
      },
      "restart": () => this.#restart(() => server.stop()),
      "crash": () => this.#restart(() => server.kill()),
    };
  }

  async #restart(stop: () => Promise<void>): Promise<void> {
    const { server } = this.#rig.database;
    await stop();
    await pause(this.#random.below(LASTS_MS));
    await server.start();
    const start = performance.now();
    const took = () => performance.now() - start;
    const [successMs, newcomerMs] = await Promise.all([
      // The storm may be ending, without another statement.
      Promise.race([this.#nextSuccess().then(took), this.#ending.promise]),
      this.#newcomer().then(took),
    ]);
    if (successMs !== undefined) this.recoveries.push({ successMs, newcomerMs });
  }

  async #newcomer(): Promise<void> {
    const manager = this.#rig.manager({ maxConnections: 1, acquireTimeoutMs: 60_000 });
    await manager.query("select 1");
    await manager.shutdown();
  }

  async #while(end: () => unknown): Promise<void> {
    await pause(this.#random.below(LASTS_MS));
    await end();
  }

  #some(harm: (connection: ProxiedConnection) => void): Promise<void> {
    for (const connection of this.#rig.proxy.connections) if (this.#random.chance(0.5)) harm(connection);
    return Promise.resolve();
  }

  async #operate(text: string): Promise<void> {
    // Its own connections died with the last restart, perhaps.
    await this.#operator.executeQueryWithRetry(text, [], 20, 5, { idempotent: true });
  }
}
