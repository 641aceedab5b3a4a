/** The health of all services. */
import { assertEquals, assertMatch, assertThrows } from "@std/assert";
import {
  addHealthSource,
  type CheckedService,
  ConnectionMonitor,
  connectionMonitor,
  type ConnectionMonitorOptions,
  type ServiceHealth,
} from "../../../shared/observability/mod.ts";
import { FakeClock } from "../../support/fake_clock.ts";

/** A service whose health a test sets, and which counts its checks. */
class FakeService implements CheckedService {
  healthy = true;
  checks = 0;
  running = 0;
  most = 0;
  /** Waited for by each check. */
  pause: Promise<void> | undefined = undefined;
  readonly listeners = new Map<string, (event: unknown) => void>();

  async healthCheck(): Promise<{ healthy: boolean; error?: Error }> {
    this.checks++;
    this.most = Math.max(this.most, ++this.running);
    await this.pause;
    this.running--;
    return this.healthy ? { healthy: true } : { healthy: false, error: new Error("cannot reach redis://u:s3cret@h") };
  }

  on(name: string, listener: (event: unknown) => void): Disposable {
    this.listeners.set(name, listener);
    return { [Symbol.dispose]: () => void this.listeners.delete(name) };
  }
}

/** A monitor of one service on a fake clock, and its events. */
function setUp(options: ConnectionMonitorOptions = {}) {
  const clock = new FakeClock();
  const postgres = new FakeService();
  const monitor = new ConnectionMonitor({ services: { postgres }, clock, ...options });
  const events: unknown[][] = [];
  monitor.on("health-change", (service, health, previousHealth) => {
    events.push(["health-change", service, previousHealth.status, health.status]);
  });
  monitor.on("connection-error", (service, error) => events.push(["connection-error", service, error.message]));
  monitor.on("connection-recovery", (service) => events.push(["connection-recovery", service]));
  monitor.on("failover", (service, from, to) => events.push(["failover", service, from, to]));
  return { clock, postgres, monitor, events };
}

const status = (health: Readonly<Record<string, ServiceHealth>>) => health.postgres?.status;

Deno.test("connectionMonitor checks the services of the isolate, as its documentation shows", async () => {
  const service = new FakeService();
  using _postgres = addHealthSource("postgres", service);
  using _replaced = addHealthSource("redis", new FakeService());
  const seen: string[] = [];
  using _changes = connectionMonitor.on("health-change", (service, health, previousHealth) => {
    seen.push(`Health of ${service} changed from ${previousHealth.status} to ${health.status}`);
  });
  connectionMonitor.start();
  try {
    await connectionMonitor.checkHealth();
    const health = connectionMonitor.getCurrentHealth();
    assertEquals(Object.keys(health), ["postgres", "redis"]);
    assertEquals(health.postgres?.status, "healthy");
    assertEquals(connectionMonitor.getHealthHistory("postgres").map(({ status }) => status), ["healthy"]);
    assertEquals(connectionMonitor.isHealthy(), true);
    assertEquals(seen, [
      "Health of postgres changed from unknown to healthy",
      "Health of redis changed from unknown to healthy",
    ]);
    _replaced[Symbol.dispose]();
    const other = new FakeService();
    using _other = addHealthSource("postgres", other);
    // It replaces the first, whose subscription does not remove it.
    _postgres[Symbol.dispose]();
    await connectionMonitor.checkHealth();
    assertEquals([Object.keys(connectionMonitor.getCurrentHealth()), other.checks], [["postgres"], 1]);
  } finally {
    connectionMonitor.stop();
  }
});

Deno.test("ConnectionMonitor.start() checks at once and every 30 s, and stop() ends that", async () => {
  const { clock, postgres, monitor } = setUp();
  monitor.start();
  monitor.start();
  await clock.advance(0);
  assertEquals(postgres.checks, 1);
  await clock.advance(60_000);
  assertEquals(postgres.checks, 3);
  monitor.stop();
  monitor.stop();
  await clock.advance(60_000);
  assertEquals([postgres.checks, clock.timers, postgres.listeners.size], [3, 0, 0]);
});

Deno.test("ConnectionMonitor.stop() during a check ends the monitoring, and start() during that check goes on with one timer", async () => {
  const { clock, postgres, monitor } = setUp();
  const slow = Promise.withResolvers<void>();
  postgres.pause = slow.promise;
  monitor.start();
  await clock.advance(0);
  monitor.stop();
  monitor.start();
  monitor.stop();
  slow.resolve();
  await clock.advance(60_000);
  assertEquals([postgres.checks, clock.timers], [1, 0]);
  const again = Promise.withResolvers<void>();
  postgres.pause = again.promise;
  monitor.start();
  await clock.advance(0);
  monitor.stop();
  monitor.start();
  again.resolve();
  await clock.advance(30_000);
  assertEquals([postgres.checks, clock.timers], [3, 1]);
  monitor.stop();
});

Deno.test("ConnectionMonitor.stop() leaves a check that is under way without effect, unless checkHealth() waits for it", async () => {
  const { clock, postgres, monitor, events } = setUp();
  const failLater = () => {
    const slow = Promise.withResolvers<void>();
    postgres.pause = slow.promise;
    postgres.healthy = false;
    return slow.resolve;
  };
  await monitor.checkHealth();
  events.length = 0;
  // As at the end of a program: first the monitor stops, then the pool.
  const shutDown = failLater();
  monitor.start();
  await clock.advance(0);
  monitor.stop();
  shutDown();
  await clock.advance(0);
  assertEquals([events, status(monitor.getCurrentHealth())], [[], "healthy"]);
  assertEquals(monitor.getHealthHistory("postgres").length, 1);
  const fail = failLater();
  monitor.start();
  await clock.advance(0);
  const asked = monitor.checkHealth();
  monitor.stop();
  fail();
  assertEquals(status(await asked), "unhealthy");
  assertEquals(events.map(([event]) => event), ["health-change", "connection-error"]);
});

Deno.test("ConnectionMonitor emits changes, errors and recoveries", async () => {
  const { postgres, monitor, events } = setUp();
  await monitor.checkHealth();
  postgres.healthy = false;
  await monitor.checkHealth();
  await monitor.checkHealth();
  assertEquals(monitor.isHealthy(), false);
  postgres.healthy = true;
  await monitor.checkHealth();
  const failure = ["connection-error", "postgres", "cannot reach redis://u:s3cret@h"];
  assertEquals(events, [
    ["health-change", "postgres", "unknown", "healthy"],
    ["health-change", "postgres", "healthy", "unhealthy"],
    failure,
    failure,
    ["health-change", "postgres", "unhealthy", "healthy"],
    ["connection-recovery", "postgres"],
  ]);
  const history = monitor.getHealthHistory("postgres");
  assertEquals(history.map(({ status }) => status), ["healthy", "unhealthy", "unhealthy", "healthy"]);
  assertEquals([history[0]?.error, history[1]?.error?.includes("s3cret")], [undefined, false]);
  assertMatch(history[0]?.checkedAt ?? "", /Z$/);
});

Deno.test("ConnectionMonitor never runs two checks of a service at once, and gives each a deadline", async () => {
  const { clock, postgres, monitor, events } = setUp({ intervalMs: 1_000, timeoutMs: 400 });
  const hung = Promise.withResolvers<void>();
  postgres.pause = hung.promise;
  monitor.start();
  const [one, other] = [monitor.checkHealth(), monitor.checkHealth()];
  await clock.advance(400);
  assertEquals([status(await one), status(await other)], ["unhealthy", "unhealthy"]);
  // The check ignores its deadline: the next ones do not join it.
  await clock.advance(3_000);
  assertEquals([postgres.checks, postgres.most], [1, 1]);
  assertEquals(events.at(-1), ["connection-error", "postgres", "The check before it has not ended within 400 ms"]);
  postgres.pause = undefined;
  hung.resolve();
  await clock.advance(1_000);
  assertEquals([status(monitor.getCurrentHealth()), postgres.most], ["healthy", 1]);
  assertEquals(events.at(-1), ["connection-recovery", "postgres"]);
  monitor.stop();
});

Deno.test("ConnectionMonitor takes no failure from a check during which the isolate was frozen", async () => {
  const { clock, postgres, monitor, events } = setUp({ timeoutMs: 400 });
  await monitor.checkHealth();
  // One that ignores its deadline, and one whose own deadline was late.
  for (const isLate of [false, true]) {
    const slow = Promise.withResolvers<void>();
    postgres.pause = slow.promise;
    postgres.healthy = false;
    const checked = monitor.checkHealth();
    await clock.advance(0);
    clock.freeze(60_000);
    if (isLate) slow.resolve();
    await clock.advance(0);
    assertEquals(status(await checked), "healthy");
    slow.resolve();
    await clock.advance(0);
  }
  postgres.pause = undefined;
  postgres.healthy = true;
  assertEquals(status(await monitor.checkHealth()), "healthy");
  assertEquals(events, [["health-change", "postgres", "unknown", "healthy"]]);
  assertEquals(monitor.getHealthHistory("postgres").length, 2);
});

Deno.test("ConnectionMonitor.getCurrentHealth() is unknown after a freeze, and begins a check", async () => {
  const { clock, postgres, monitor, events } = setUp({ intervalMs: 1_000, timeoutMs: 400 });
  monitor.start();
  await clock.advance(0);
  clock.freeze(2_800);
  assertEquals(monitor.isHealthy(), true);
  clock.freeze(1);
  assertEquals([status(monitor.getCurrentHealth()), monitor.isHealthy()], ["unknown", false]);
  await Promise.resolve();
  assertEquals(postgres.checks, 2);
  await clock.advance(0);
  assertEquals([monitor.isHealthy(), events.length], [true, 1]);
  monitor.stop();
  clock.freeze(1e9);
  assertEquals(monitor.isHealthy(), true);
});

Deno.test("ConnectionMonitor bounds the history of a service", async () => {
  const { monitor } = setUp({ historySize: 3 });
  for (let count = 0; count < 5; count++) await monitor.checkHealth();
  assertEquals(monitor.getHealthHistory("postgres").length, 3);
  assertEquals(monitor.getHealthHistory("absent"), []);
});

Deno.test("ConnectionMonitor forwards errors and failovers of a service while it is started", async () => {
  const { clock, postgres, monitor, events } = setUp();
  assertEquals(postgres.listeners.size, 0);
  monitor.start();
  await clock.advance(0);
  events.length = 0;
  postgres.listeners.get("error")?.({ error: new Error("broken") });
  postgres.listeners.get("error")?.("odd");
  const change = postgres.listeners.get("primaryChanged");
  change?.({ from: undefined, to: "a" });
  change?.({ from: "a", to: undefined });
  change?.({ from: undefined, to: "b" });
  change?.({ from: "b", to: undefined });
  change?.({ from: undefined, to: "b" });
  change?.({ from: "b", to: "c" });
  assertEquals(events, [
    ["connection-error", "postgres", "broken"],
    ["connection-error", "postgres", "odd"],
    ["failover", "postgres", "a", "b"],
    ["failover", "postgres", "b", "c"],
  ]);
  monitor.stop();
});

Deno.test("ConnectionMonitor.watch() adds and replaces a service; one that was removed emits nothing", async () => {
  const { clock, postgres, monitor, events } = setUp();
  monitor.start();
  const redis: CheckedService = { healthCheck: () => Promise.reject(undefined) };
  const watch = monitor.watch("redis", redis);
  await monitor.checkHealth();
  assertEquals(monitor.getCurrentHealth().redis?.error, "The check failed");
  watch[Symbol.dispose]();
  watch[Symbol.dispose]();
  assertEquals(Object.keys(monitor.getCurrentHealth()), ["postgres"]);

  const slow = Promise.withResolvers<void>();
  postgres.pause = slow.promise;
  await clock.advance(0);
  events.length = 0;
  postgres.healthy = false;
  const checked = monitor.checkHealth();
  const replaced = monitor.watch("postgres", {
    healthCheck: () => Promise.resolve({ healthy: true }),
    on: () => 1 as never,
  });
  slow.resolve();
  await checked;
  assertEquals(events, []);
  await monitor.checkHealth();
  assertEquals(events, [["health-change", "postgres", "unknown", "healthy"]]);
  replaced[Symbol.dispose]();
  assertEquals([monitor.isHealthy(), monitor.getCurrentHealth()], [false, {}]);
  monitor.stop();
});

Deno.test("ConnectionMonitor.once() and off() end a subscription, and a listener that throws affects no other", async () => {
  const { postgres, monitor } = setUp();
  const seen: string[] = [];
  const first = (service: string) => void seen.push(`first ${service}`);
  monitor.on("connection-error", () => {
    throw new Error("listener");
  });
  monitor.on("connection-error", () => Promise.reject(new Error("listener")));
  monitor.on("connection-error", first);
  monitor.on("connection-error", first);
  monitor.once("connection-error", (service) => seen.push(`once ${service}`));
  postgres.healthy = false;
  await monitor.checkHealth();
  monitor.off("connection-error", first);
  monitor.off("connection-error", () => {});
  await monitor.checkHealth();
  assertEquals(seen, ["first postgres", "first postgres", "once postgres", "first postgres"]);
});

Deno.test("ConnectionMonitor takes no response for an unhealthy one, and rejects bad options", async () => {
  const { monitor } = setUp();
  const odd: Record<string, () => never> = {
    undefined: () => undefined as never,
    throws: () => {
      throw "a text";
    },
    healthy: () => ({ healthy: true }) as never,
    sick: () => ({ healthy: false }) as never,
  };
  for (const [name, healthCheck] of Object.entries(odd)) monitor.watch(name, { healthCheck });
  const health = await monitor.checkHealth();
  assertEquals(Object.keys(odd).map((name) => health[name]?.status), [
    "unhealthy",
    "unhealthy",
    "healthy",
    "unhealthy",
  ]);
  for (const bad of [{ intervalMs: 0 }, { timeoutMs: NaN }, { historySize: -1 }]) {
    assertThrows(() => new ConnectionMonitor(bad), RangeError, Object.keys(bad)[0]);
  }
});

Deno.test("ConnectionMonitor goes on after a check that rejects with what has no text, and takes only true for healthy", async () => {
  const { clock, monitor } = setUp();
  const no = () => {
    throw new Error("no");
  };
  const rejections = [
    Object.create(null),
    Symbol("s"),
    new Proxy({}, { get: no, getPrototypeOf: no }),
    { then: () => {} },
  ];
  for (const [index, reason] of rejections.entries()) {
    monitor.watch(`rejects${index}`, { healthCheck: () => Promise.reject(reason) });
  }
  monitor.watch("vague", { healthCheck: () => Promise.resolve({ healthy: "no" as never }) });
  monitor.start();
  await clock.advance(30_000);
  const { postgres, ...others } = monitor.getCurrentHealth();
  assertEquals([postgres?.status, Object.values(others).map(({ status }) => status)], [
    "healthy",
    Array(5).fill("unhealthy"),
  ]);
  assertEquals([monitor.getHealthHistory("rejects0").length, clock.timers], [2, 1]);
  monitor.stop();
});

Deno.test("ConnectionMonitor listens to an event emitter once, however often it is started, and leaves it as it was", async () => {
  const { clock, monitor, events } = setUp();
  /** As Node's: `on` returns the emitter itself. */
  class Emitter implements CheckedService {
    readonly listeners: [name: string, listener: (event: unknown) => void][] = [];
    disposals = 0;
    on(name: string, listener: (event: unknown) => void) {
      this.listeners.push([name, listener]);
      return this;
    }
    off(name: string, listener: (event: unknown) => void) {
      const index = this.listeners.findIndex(([known, each]) => known === name && each === listener);
      if (index >= 0) this.listeners.splice(index, 1);
      return this;
    }
    emit(name: string, event: unknown) {
      for (const [known, listener] of [...this.listeners]) if (known === name) listener(event);
    }
    healthCheck() {
      return Promise.resolve({ healthy: true });
    }
    [Symbol.dispose]() {
      this.disposals++;
    }
  }
  /** One that never forgets a listener. */
  class Stubborn extends Emitter {
    override off(): never {
      throw new Error("no listener is removed");
    }
  }
  const [emitter, stubborn] = [new Emitter(), new Stubborn()];
  monitor.watch("redis", emitter);
  monitor.watch("stubborn", stubborn);
  monitor.watch("deaf", {
    healthCheck: () => Promise.resolve({ healthy: true }),
    on: () => {
      throw new Error("unknown event");
    },
  });
  for (const _time of [1, 2, 3]) {
    monitor.start();
    monitor.stop();
  }
  monitor.start();
  await clock.advance(0);
  events.length = 0;
  for (const each of [emitter, stubborn]) {
    each.emit("error", new Error("lost"));
    each.emit("primaryChanged", { from: "a", to: "b" });
  }
  assertEquals(events, [
    ["connection-error", "redis", "lost"],
    ["failover", "redis", "a", "b"],
    ["connection-error", "stubborn", "lost"],
    ["failover", "stubborn", "a", "b"],
  ]);
  assertEquals([emitter.listeners.length, emitter.disposals], [2, 0]);
  monitor.stop();
  stubborn.emit("error", new Error("late"));
  assertEquals([emitter.listeners.length, events.length], [0, 4]);
});
