/**
 * The health of all services that an isolate connects to.
 *
 * @module
 */
import { type Clock, memberOf, observe, systemClock, textOf, type Timer, toError } from "../../resilience/mod.ts";
import { type CheckedService, healthSources } from "./health_sources.ts";
import { type ConnectionMonitorEvents, type ConnectionMonitorListener, MonitorEmitter } from "./monitor_events.ts";
import { ServiceChecks, type ServiceHealth } from "./service_health.ts";

/** Options of a {@linkcode ConnectionMonitor}. */
export interface ConnectionMonitorOptions {
  /** The services by name. Default: none; {@linkcode ConnectionMonitor.watch} adds them. */
  readonly services?: Readonly<Record<string, CheckedService>> | undefined;
  /** The interval of checks, in ms. Default: 30,000. */
  readonly intervalMs?: number | undefined;
  /** The longest that a check may take, in ms. Default: 5,000. */
  readonly timeoutMs?: number | undefined;
  /** The number of results that are kept for each service. Default: 100. */
  readonly historySize?: number | undefined;
  /** Default: the isolate's own time. */
  readonly clock?: Clock | undefined;
}

/** A service, its checks and the subscriptions to its events. */
interface Watched {
  readonly service: CheckedService;
  readonly checks: ServiceChecks;
  /** True if it came from the services of the isolate, and goes with them. */
  readonly isSource: boolean;
  readonly subscriptions: Disposable[];
  /** The server that writes go to, as far as it is known. */
  primary: string | undefined;
}

/** Listens to an event of a service, whose names are its own. */
type Listen = (name: string, listener: (event: unknown) => void) => unknown;

/**
 * Checks services at an interval, keeps a bounded history, and emits events when their health changes.
 *
 * Checks have a deadline, and those of one service never overlap. The timer does not keep the process alive. After an
 * isolate was frozen, what it knew before is `unknown` until the next check, which begins when it is asked.
 *
 * @example
 * ```ts
 * const manager = PostgresConnectionManager.fromEnv();
 * const monitor = new ConnectionMonitor({ services: { postgres: manager } });
 * monitor.on("health-change", (service, health, previousHealth) => {
 *   console.log(`Health of ${service} changed from ${previousHealth.status} to ${health.status}`);
 * });
 * monitor.start();
 * ```
 */
export class ConnectionMonitor {
  readonly #intervalMs: number;
  readonly #timeoutMs: number;
  readonly #historySize: number;
  readonly #clock: Clock;
  readonly #sources: ReadonlyMap<string, CheckedService> | undefined;
  readonly #emitter = new MonitorEmitter();
  readonly #watched = new Map<string, Watched>();
  #timer: Timer | undefined = undefined;
  #isStarted = false;
  #checking: Promise<void> | undefined = undefined;
  /** The number of calls that wait for a check. */
  #callers = 0;
  /** Once the monitor has stopped, a check that no call waits for says nothing: the services may have been shut down, too. */
  readonly #isWanted = (): boolean => this.#isStarted || this.#callers > 0;

  /**
   * Creates a monitor. It does nothing until it is started, or asked for a check.
   *
   * @param sources Further services by name, which come and go. Default: none.
   * @throws {RangeError} when an option is not a number above 0, naming it.
   */
  constructor(options: ConnectionMonitorOptions = {}, sources?: ReadonlyMap<string, CheckedService>) {
    const { services = {}, intervalMs = 30_000, timeoutMs = 5_000, historySize = 100, clock = systemClock } = options;
    for (const [name, value] of Object.entries({ intervalMs, timeoutMs, historySize })) {
      if (!(value > 0)) throw new RangeError(`${name} must be a number above 0: it is ${value}`);
    }
    this.#intervalMs = intervalMs;
    this.#timeoutMs = timeoutMs;
    this.#historySize = historySize;
    this.#clock = clock;
    this.#sources = sources;
    for (const [name, service] of Object.entries(services)) this.watch(name, service);
  }

  /** Adds a service, in place of one with the same name, until the result is disposed of. */
  watch(name: string, service: CheckedService): Disposable {
    const watched = this.#add(name, service, false);
    return {
      [Symbol.dispose]: () => {
        if (this.#watched.get(name) === watched) this.#remove(name);
      },
    };
  }

  /** Checks all services now and then at the interval. Idempotent. */
  start(): void {
    if (this.#isStarted) return;
    this.#isStarted = true;
    this.#syncSources();
    for (const [name, watched] of this.#watched) this.#subscribe(name, watched);
    void this.#run();
  }

  /**
   * Ends the checks at the interval. What is known stays; a check that is under way changes nothing and emits nothing, unless
   * {@linkcode checkHealth} waits for it. Idempotent.
   */
  stop(): void {
    this.#isStarted = false;
    this.#timer?.cancel();
    this.#timer = undefined;
    for (const { subscriptions } of this.#watched.values()) unsubscribe(subscriptions);
  }

  /** Checks the health of all services, and returns it by name. A check that is running is waited for. Never rejects. */
  async checkHealth(): Promise<Readonly<Record<string, ServiceHealth>>> {
    const joined = this.#checking;
    this.#callers++;
    await this.#checkOnce();
    // A service that was added since that check began.
    if (joined && [...this.#watched.values()].some(({ checks }) => !checks.wasChecked)) await this.#checkOnce();
    this.#callers--;
    return this.getCurrentHealth();
  }

  /**
   * Returns the health of all services by name, as of their latest check. While the monitor is started, a result that is
   * older than two intervals is `unknown`, and a check begins.
   */
  getCurrentHealth(): Readonly<Record<string, ServiceHealth>> {
    this.#syncSources();
    const maxAgeMs = this.#isStarted ? 2 * (this.#intervalMs + this.#timeoutMs) : Infinity;
    const entries = [...this.#watched].map(([name, { checks }]) => [name, checks.current(maxAgeMs)] as const);
    if (this.#isStarted && entries.some(([, { status }]) => status === "unknown")) void this.#checkOnce();
    return Object.freeze(Object.fromEntries(entries));
  }

  /** Returns the results of the latest checks of a service, the earliest first; none for an unknown service. */
  getHealthHistory(service: string): readonly ServiceHealth[] {
    return this.#watched.get(service)?.checks.history ?? [];
  }

  /** Returns whether all services are healthy. Without a service, and before the first check, they are not. */
  isHealthy(): boolean {
    const all = Object.values(this.getCurrentHealth());
    return all.length > 0 && all.every(({ status }) => status === "healthy");
  }

  /** Calls `listener` at each event of that name, until the subscription is disposed of or {@linkcode off} is called. */
  on<K extends keyof ConnectionMonitorEvents>(name: K, listener: ConnectionMonitorListener<K>): Disposable {
    return this.#emitter.add(name, listener);
  }

  /** Calls `listener` at the next event of that name, once. */
  once<K extends keyof ConnectionMonitorEvents>(name: K, listener: ConnectionMonitorListener<K>): Disposable {
    return this.#emitter.add(name, listener, true);
  }

  /** Removes a listener; one that was added several times, once. */
  off<K extends keyof ConnectionMonitorEvents>(name: K, listener: ConnectionMonitorListener<K>): void {
    this.#emitter.remove(name, listener);
  }

  async #run(): Promise<void> {
    this.#timer = undefined;
    await this.#checkOnce();
    if (this.#isStarted) this.#timer ??= this.#clock.setTimer(() => void this.#run(), this.#intervalMs);
  }

  /** Checks all services, or waits for the check that is running. */
  #checkOnce(): Promise<void> {
    return this.#checking ??= this.#checkAll().finally(() => this.#checking = undefined);
  }

  async #checkAll(): Promise<void> {
    this.#syncSources();
    await Promise.all([...this.#watched].map(([name, { checks }]) => this.#check(name, checks)));
  }

  async #check(name: string, checks: ServiceChecks): Promise<void> {
    const { health, previousHealth, error } = await checks.check(this.#isWanted);
    // It was removed or replaced meanwhile.
    if (this.#watched.get(name)?.checks !== checks) return;
    if (health.status !== previousHealth.status) this.#emitter.emit("health-change", name, health, previousHealth);
    if (error) this.#emitter.emit("connection-error", name, error);
    else if (previousHealth.status === "unhealthy" && health.status === "healthy") {
      this.#emitter.emit("connection-recovery", name);
    }
  }

  /** Follows the services of the isolate, which come and go. */
  #syncSources(): void {
    if (!this.#sources) return;
    for (const [name, { service, isSource }] of this.#watched) {
      if (isSource && this.#sources.get(name) !== service) this.#remove(name);
    }
    for (const [name, service] of this.#sources) if (!this.#watched.has(name)) this.#add(name, service, true);
  }

  #add(name: string, service: CheckedService, isSource: boolean): Watched {
    this.#remove(name);
    const bounds = { timeoutMs: this.#timeoutMs, historySize: this.#historySize, clock: this.#clock };
    const checks = new ServiceChecks(service, bounds);
    const watched: Watched = { service, checks, isSource, subscriptions: [], primary: undefined };
    this.#watched.set(name, watched);
    if (this.#isStarted) this.#subscribe(name, watched);
    return watched;
  }

  #remove(name: string): void {
    unsubscribe(this.#watched.get(name)?.subscriptions ?? []);
    this.#watched.delete(name);
  }

  #subscribe(name: string, watched: Watched): void {
    const { service, subscriptions } = watched;
    if (!service.on) return;
    subscriptions.push(
      subscribe(service, "error", (event) => {
        this.#emitter.emit("connection-error", name, toError(memberOf(event, "error") ?? event));
      }),
      subscribe(service, "primaryChanged", (event) => this.#primaryChanged(name, watched, event)),
    );
  }

  /** A failover often has two steps: first no server accepts writes, then another one does. */
  #primaryChanged(name: string, watched: Watched, event: unknown): void {
    const before = watched.primary ?? textOf(event, "from");
    const after = textOf(event, "to");
    watched.primary = after ?? before;
    if (before !== undefined && after !== undefined && before !== after) {
      this.#emitter.emit("failover", name, before, after);
    }
  }
}

/**
 * Calls `listener` at each event of that name until the result is disposed of, whatever the service does: an event emitter
 * returns itself, removes a listener with `off`, and may know neither the name nor an end.
 */
function subscribe(service: CheckedService, name: string, listener: (event: unknown) => void): Disposable {
  let isActive = true;
  const call = (event: unknown) => {
    if (isActive) listener(event);
  };
  const ask = (method: "on" | "off") => {
    const found = memberOf(service, method);
    return typeof found === "function" ? (found as Listen).call(service, name, call) : undefined;
  };
  let subscription: unknown;
  observe(() => void (subscription = ask("on")), () => {});
  return {
    [Symbol.dispose]: () => {
      isActive = false;
      const dispose = subscription === service ? undefined : memberOf(subscription, Symbol.dispose);
      observe(() => typeof dispose === "function" ? dispose.call(subscription) : ask("off"), () => {});
    },
  };
}

/** Ends subscriptions. */
function unsubscribe(subscriptions: Disposable[]): void {
  for (const subscription of subscriptions.splice(0)) subscription[Symbol.dispose]();
}

/**
 * The monitor of this isolate. It checks the services that the data layer connects to, as `postgres` and `redis`, and those
 * that {@linkcode ConnectionMonitor.watch} adds.
 *
 * @example
 * ```ts
 * connectionMonitor.start();
 * connectionMonitor.on("connection-recovery", (service) => console.log(`${service} connection recovered`));
 * ```
 */
export const connectionMonitor: ConnectionMonitor = new ConnectionMonitor({}, healthSources);
