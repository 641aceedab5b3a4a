/**
 * Who may try to connect while the server is in trouble.
 *
 * @module
 */
import { backoffDelayMs, classifyFailure, type Clock } from "../resilience/mod.ts";

/** Attempts after a refusal that trying again does not mend (a wrong password, say) are so far apart, in ms. */
const REFUSED_BACKOFF = { baseMs: 1_000, capMs: 60_000 };

interface Trouble {
  readonly error: unknown;
  /** Nobody asks the server before that, in ms of the clock. */
  readonly notBefore: number;
}

/**
 * Lets connections through while all is well. After a failure one attempt is
 * made at a time, and the others share its outcome, so that a server that comes
 * back is not met by a storm. After a refusal the server is left alone for a while:
 * repeated wrong passwords lock accounts.
 */
export class ConnectGate {
  readonly #clock: Clock;
  readonly #random: () => number;
  #trouble: Trouble | undefined = undefined;
  #refusals = 0;
  #probe: Promise<void> | undefined = undefined;

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
    while (this.#trouble) {
      if (this.#clock.now() < this.#trouble.notBefore) throw this.#trouble.error;
      if (!this.#probe) return await this.#asProbe(connect);
      await this.#probe;
      // What the probe found holds for those who waited for it.
      if (this.#trouble) throw this.#trouble.error;
    }
    return await this.#attempt(connect);
  }

  async #asProbe<T>(connect: () => Promise<T>): Promise<T> {
    const attempt = this.#attempt(connect);
    this.#probe = attempt.then(() => {}, () => {}).finally(() => this.#probe = undefined);
    return await attempt;
  }

  async #attempt<T>(connect: () => Promise<T>): Promise<T> {
    try {
      const connected = await connect();
      this.#trouble = undefined;
      this.#refusals = 0;
      return connected;
    } catch (error) {
      let notBefore = -Infinity;
      if (classifyFailure(error) === "permanent") {
        notBefore = this.#clock.now() + backoffDelayMs(this.#refusals++, REFUSED_BACKOFF, this.#random);
      }
      this.#trouble = { error, notBefore };
      throw error;
    }
  }
}
