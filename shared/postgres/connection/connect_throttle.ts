/**
 * Limits connection attempts while the server is failing.
 *
 * @module
 */
import { abortable } from "@std/async/abortable";
import { backoffDelayMs, classifyFailure, type Clock, timeoutSignal } from "../../resilience/mod.ts";
import { ConnectionError, ConnectTimeoutError, LoginsRefusedError } from "../errors/connection_error.ts";
import { TlsError } from "../errors/tls_error.ts";
import type { PostgresConfig } from "../config/options.ts";
import { connectId } from "../wire/server_stream.ts";
import { LOGIN_WINDOW_MS, LoginBudget, type LoginEnd } from "./login_budget.ts";

/** Backoff of attempts after a refused login, such as one with a wrong password, in ms. */
const REFUSED_BACKOFF = { baseMs: 1_000, capMs: 60_000 };

/** The time for which an attempt holds up the next one, in ms: after that, it may hang. */
const PROBE_GRACE_MS = 300;

/** The same for an attempt whose password the server is checking, in ms: another login would be slow, too. */
const LOGIN_GRACE_MS = 2_000;

/** The attempt that other callers wait for. */
interface Probe {
  /** The time at which it started, in ms of the clock. */
  readonly since: number;
  /** The time for which it holds up the next one, in ms. */
  graceMs: number;
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

/** One attempt to connect. */
export interface Login {
  /** Notes that the server asked for the password. */
  passwordAsked(): void;
}

/**
 * Returns what a failed attempt counts as. Without TLS or an address, no login was attempted.
 *
 * @param inDoubt True if the server was checking a password that it has not accepted before.
 */
function endOf(error: unknown, inDoubt: boolean): LoginEnd {
  if (inDoubt && error instanceof ConnectTimeoutError) return "abandoned";
  const isLogin = !(error instanceof ConnectionError || error instanceof TlsError);
  return isLogin && classifyFailure(error) === "permanent" ? "refused" : "other";
}

/**
 * Lets attempts through while connecting works. Before the first success and after a failure, one attempt runs at a
 * time (a second one only when it seems to hang) and the others share its outcome: a server that comes back meets no
 * storm. After a refused login it backs off: a few wrong passwords in a row lock accounts and ban addresses.
 *
 * All pools of the isolate with the same options share one; see {@linkcode throttleOf}. However it is used, its
 * {@linkcode LoginBudget} is kept.
 */
export class ConnectThrottle {
  readonly #clock: Clock;
  readonly #random: () => number;
  readonly #budget: LoginBudget;
  /** True if the latest attempt succeeded. */
  #proven = false;
  /**
   * True if the server has accepted these credentials, and has not refused them since. A login without a response is
   * then a server in trouble, not a wrong password: the next attempt must find out when it is back.
   */
  #accepted = false;
  #outage: Outage | undefined = undefined;
  #refusals = 0;
  #probe: Probe | undefined = undefined;

  constructor(clock: Clock, random: () => number = Math.random, budget: LoginBudget = new LoginBudget(clock)) {
    this.#clock = clock;
    this.#random = random;
    this.#budget = budget;
  }

  /** The logins that it counts. */
  get budget(): LoginBudget {
    return this.#budget;
  }

  /**
   * Runs `connect` when an attempt is allowed.
   *
   * @param signal Ends the wait for that.
   * @throws what `connect` throws, or threw for the attempt whose outcome is shared.
   */
  async connect<T>(connect: (login: Login) => Promise<T>, signal: AbortSignal): Promise<T> {
    for (;;) {
      signal.throwIfAborted();
      if (this.#proven) {
        if (this.#mayStart()) return await this.#attempt(connect, signal);
        await this.#budget.nextEnd(signal);
        continue;
      }
      const now = this.#clock.now();
      if (this.#outage && now < this.#outage.notBefore) throw this.#outage.error;
      const probe = this.#probe;
      if (!probe || now - probe.since >= probe.graceMs) {
        if (this.#budget.isExhausted) throw this.#outage?.error ?? new LoginsRefusedError();
        if (this.#budget.hasRoom) return await this.#asProbe(connect, signal);
        await this.#budget.nextEnd(signal);
        continue;
      }
      await this.#waitFor(probe, signal);
      if (probe.failed && this.#outage) throw this.#outage.error;
    }
  }

  /** Returns whether another attempt may start; where other credentials were refused, one at a time. */
  #mayStart(): boolean {
    return this.#budget.hasRoom || this.#budget.running === 0;
  }

  /** Waits for an attempt, until its grace period ends. */
  async #waitFor({ since, graceMs, ended }: Probe, signal: AbortSignal): Promise<void> {
    using grace = timeoutSignal(since + graceMs - this.#clock.now(), this.#clock, () => "it may hang");
    await abortable(abortable(ended, grace.signal), signal).catch(() => {});
  }

  async #asProbe<T>(connect: (login: Login) => Promise<T>, signal: AbortSignal): Promise<T> {
    const attempt = this.#attempt((login) =>
      connect({
        passwordAsked: () => {
          login.passwordAsked();
          probe.graceMs = LOGIN_GRACE_MS;
        },
      }), signal);
    const probe: Probe = {
      since: this.#clock.now(),
      graceMs: PROBE_GRACE_MS,
      failed: false,
      // One that its own pool aborted says nothing about the server.
      ended: attempt.then(() => {}, () => void (probe.failed = !signal.aborted)).finally(() => {
        if (this.#probe === probe) this.#probe = undefined;
      }),
    };
    this.#probe = probe;
    return await attempt;
  }

  async #attempt<T>(connect: (login: Login) => Promise<T>, signal: AbortSignal): Promise<T> {
    let passwordAsked = false;
    this.#budget.begin();
    try {
      const connected = await connect({ passwordAsked: () => passwordAsked = true });
      this.#proven = true;
      this.#accepted = true;
      this.#outage = undefined;
      this.#refusals = 0;
      this.#budget.end("other");
      return connected;
    } catch (error) {
      const inDoubt = passwordAsked && !this.#accepted;
      if (signal.aborted) {
        this.#budget.end(inDoubt ? "abandoned" : "other");
        throw error;
      }
      const end = endOf(error, inDoubt);
      let notBefore = -Infinity;
      if (end === "refused") {
        this.#accepted = false;
        notBefore = this.#clock.now() + backoffDelayMs(this.#refusals++, REFUSED_BACKOFF, this.#random);
      }
      this.#proven = false;
      this.#outage = { error, notBefore };
      this.#budget.end(end);
      throw error;
    }
  }
}

/** The throttles and budgets of one clock: those of the isolate share the system's. */
class Registry {
  readonly #clock: Clock;
  readonly #throttles = new Map<string, ConnectThrottle>();
  readonly #budgets = new Map<string, LoginBudget>();

  constructor(clock: Clock) {
    this.#clock = clock;
  }

  throttleOf(config: ThrottledConfig, random: (() => number) | undefined): ConnectThrottle {
    const { host, port, connect, user, password, database, ssl, options } = config;
    const login = JSON.stringify([host.toLowerCase(), port, connectId(connect), user]);
    const key = JSON.stringify([login, password, database, ssl, options]);
    let throttle = this.#throttles.get(key);
    if (!throttle) {
      this.#forgetUnused();
      let budget = this.#budgets.get(login);
      if (!budget) this.#budgets.set(login, budget = new LoginBudget(this.#clock));
      this.#throttles.set(key, throttle = new ConnectThrottle(this.#clock, random, budget));
    }
    return throttle;
  }

  /** Forgets what says nothing any more: a program may use any number of addresses. */
  #forgetUnused(): void {
    const before = this.#clock.now() - LOGIN_WINDOW_MS;
    const isUnused = (budget: LoginBudget) => budget.running === 0 && budget.usedAt <= before;
    for (const [key, { budget }] of this.#throttles) if (isUnused(budget)) this.#throttles.delete(key);
    for (const [key, budget] of this.#budgets) if (isUnused(budget)) this.#budgets.delete(key);
  }
}

/** The options that a throttle stands for: with any other one, connecting may end differently. */
export type ThrottledConfig = Pick<
  PostgresConfig,
  "host" | "port" | "connect" | "user" | "password" | "database" | "ssl" | "options"
>;

const registries = new WeakMap<Clock, Registry>();

/**
 * Returns the throttle that all pools of the isolate with these options share, with a budget that all with this address
 * and user share. Look it up at each attempt: one that is not used for long is forgotten.
 */
export function throttleOf(config: ThrottledConfig, clock: Clock, random?: () => number): ConnectThrottle {
  let registry = registries.get(clock);
  if (!registry) registries.set(clock, registry = new Registry(clock));
  return registry.throttleOf(config, random);
}
