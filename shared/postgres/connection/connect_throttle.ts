/**
 * Limits connection attempts while the server is failing.
 *
 * @module
 */
import { abortable } from "@std/async/abortable";
import { backoffDelayMs, classifyFailure, type Clock, timeoutSignal } from "../../resilience/mod.ts";

/** Backoff of attempts after a permanent failure, such as a wrong password, in ms. */
const REFUSED_BACKOFF = { baseMs: 1_000, capMs: 60_000 };

/** The time for which an attempt holds up the next one, in ms: after that, it may hang. */
const PROBE_GRACE_MS = 300;

/** The attempt that other callers wait for. */
interface Probe {
  /** The time at which it started, in ms of the clock. */
  readonly since: number;
  /** True once it has failed. */
  failed: boolean;
  readonly ended: Promise<void>;
}

/** The latest failure. */
interface Outage {
  readonly error: unknown;
  /** The time at which the next attempt may start, in ms of the clock. */
  readonly notBefore: number;
}

/**
 * Lets all attempts through while connecting works. Before the first success and after a failure, one attempt runs at a
 * time (a second one only when it seems to hang) and the others share its outcome: a server that comes back meets no
 * storm. After a permanent failure it backs off: a few wrong passwords in a row lock accounts and ban addresses.
 */
export class ConnectThrottle {
  readonly #clock: Clock;
  readonly #random: () => number;
  /** True if the latest attempt succeeded. */
  #proven = false;
  #outage: Outage | undefined = undefined;
  #refusals = 0;
  #probe: Probe | undefined = undefined;

  constructor(clock: Clock, random: () => number = Math.random) {
    this.#clock = clock;
    this.#random = random;
  }

  /**
   * Runs `connect` when an attempt is allowed.
   *
   * @throws what `connect` throws, or threw for the attempt whose outcome is shared.
   */
  async connect<T>(connect: () => Promise<T>): Promise<T> {
    while (!this.#proven) {
      const now = this.#clock.now();
      if (this.#outage && now < this.#outage.notBefore) throw this.#outage.error;
      const probe = this.#probe;
      if (!probe || now - probe.since >= PROBE_GRACE_MS) return await this.#asProbe(connect);
      await this.#waitFor(probe);
      if (probe.failed && this.#outage) throw this.#outage.error;
    }
    return await this.#attempt(connect);
  }

  /** Waits for an attempt, until its grace period ends. */
  async #waitFor({ since, ended }: Probe): Promise<void> {
    using grace = timeoutSignal(since + PROBE_GRACE_MS - this.#clock.now(), this.#clock, () => "it may hang");
    await abortable(ended, grace.signal).catch(() => {});
  }

  async #asProbe<T>(connect: () => Promise<T>): Promise<T> {
    const attempt = this.#attempt(connect);
    const probe: Probe = {
      since: this.#clock.now(),
      failed: false,
      ended: attempt.then(() => {}, () => void (probe.failed = true)).finally(() => {
        if (this.#probe === probe) this.#probe = undefined;
      }),
    };
    this.#probe = probe;
    return await attempt;
  }

  async #attempt<T>(connect: () => Promise<T>): Promise<T> {
    try {
      const connected = await connect();
      this.#proven = true;
      this.#outage = undefined;
      this.#refusals = 0;
      return connected;
    } catch (error) {
      let notBefore = -Infinity;
      if (classifyFailure(error) === "permanent") {
        notBefore = this.#clock.now() + backoffDelayMs(this.#refusals++, REFUSED_BACKOFF, this.#random);
      }
      this.#proven = false;
      this.#outage = { error, notBefore };
      throw error;
    }
  }
}
