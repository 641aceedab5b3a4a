/**
 * Who may try to connect while the server is in trouble.
 *
 * @module
 */
import { backoffDelayMs, classifyFailure, type Clock } from "../../resilience/mod.ts";

/** Attempts after a refusal that trying again does not mend (a wrong password, say) are so far apart, in ms. */
const REFUSED_BACKOFF = { baseMs: 1_000, capMs: 60_000 };

/** An attempt that has not ended after so long no longer keeps the next one waiting, in ms: it may hang. */
const PATIENCE_MS = 300;

/** The attempt that the others wait for. */
interface Probe {
  /** When it began, in ms of the clock. */
  readonly since: number;
  /** Whether it has failed. */
  failed: boolean;
  readonly ended: Promise<void>;
}

interface Trouble {
  readonly error: unknown;
  /** Nobody asks the server before that, in ms of the clock. */
  readonly notBefore: number;
}

/**
 * Lets connections through while all is well. Until one has succeeded, and after
 * a failure, one attempt is made at a time (another one beside it only when it
 * seems to hang), and the others share its outcome, so that a server that comes
 * back is not met by a storm. After a refusal the server is left alone for a
 * while: a few wrong passwords in a row lock accounts and ban addresses, those
 * of ten connections at once too.
 */
export class ConnectGate {
  readonly #clock: Clock;
  readonly #random: () => number;
  /** Whether the latest attempt that ended has succeeded. */
  #proven = false;
  #trouble: Trouble | undefined = undefined;
  #refusals = 0;
  #probe: Probe | undefined = undefined;

  constructor(clock: Clock, random: () => number = Math.random) {
    this.#clock = clock;
    this.#random = random;
  }

  /**
   * Connects, when it is its turn.
   *
   * @throws what `connect` throws, or threw for the one whose outcome is shared.
   */
  async pass<T>(connect: () => Promise<T>): Promise<T> {
    while (!this.#proven) {
      const now = this.#clock.now();
      if (this.#trouble && now < this.#trouble.notBefore) throw this.#trouble.error;
      const probe = this.#probe;
      if (!probe || now - probe.since >= PATIENCE_MS) return await this.#asProbe(connect);
      await this.#endOf(probe);
      // What the probe found holds for those who waited for it.
      if (probe.failed && this.#trouble) throw this.#trouble.error;
    }
    return await this.#attempt(connect);
  }

  /** Waits for an attempt, as long as patience lasts. */
  async #endOf({ since, ended }: Probe): Promise<void> {
    const { promise, resolve } = Promise.withResolvers<void>();
    const timer = this.#clock.setTimer(resolve, since + PATIENCE_MS - this.#clock.now());
    await Promise.race([ended, promise]);
    timer.cancel();
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
      this.#trouble = undefined;
      this.#refusals = 0;
      return connected;
    } catch (error) {
      let notBefore = -Infinity;
      if (classifyFailure(error) === "permanent") {
        notBefore = this.#clock.now() + backoffDelayMs(this.#refusals++, REFUSED_BACKOFF, this.#random);
      }
      this.#proven = false;
      this.#trouble = { error, notBefore };
      throw error;
    }
  }
}
