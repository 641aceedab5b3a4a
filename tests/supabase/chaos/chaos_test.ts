/** Faults of the Data API in real time: the states of breakers are asserted from what the backend saw. */
import { assert, assertEquals } from "@std/assert";
import { delay } from "@std/async";
import { SupabaseConnectionPool, type SupabasePoolConfig } from "../../../shared/supabase/mod.ts";
import { denoArgs } from "../../support/deno_process.ts";
import { until } from "../../support/until.ts";
import { Backend } from "./backend.ts";
import { CONFIGURATIONS, runOutage } from "./outage.ts";

const CALLERS = 20;

/** Timers of calls that a fault ended are unref'd, and end by themselves: Deno 2.1 counts them as leaks. */
const ENDED_BY_FAULTS = { sanitizeOps: false, sanitizeResources: false };

/** The longest time until a call succeeds again: an open circuit asks after 750 ms. A loaded machine needs longer. */
const RECOVERY_MS = 2_000;

/** Callers that write all the time, with a pause of 10 ms, each in a scope of its own. */
class Load implements AsyncDisposable {
  readonly backend = new Backend();
  readonly pool: SupabaseConnectionPool<unknown>;
  succeeded = 0;
  failed = 0;
  #stopped = false;
  readonly #running: Promise<void>[];

  constructor(config: Partial<SupabasePoolConfig> = {}) {
    this.pool = SupabaseConnectionPool.getInstance(this.backend.url, "sb_publishable_chaos", {
      maxConnections: CALLERS,
      ...config,
    });
    this.#running = Array.from({ length: CALLERS }, () => this.#call());
  }

  get state(): string | undefined {
    return this.pool.circuits.snapshot().rest?.state;
  }

  /** Resolves once a call that begins from now on has succeeded, with the time it took, in ms. */
  async success(): Promise<number> {
    const { succeeded } = this;
    return await until("a call succeeds", () => this.succeeded > succeeded);
  }

  async #call(): Promise<void> {
    while (!this.#stopped) {
      const scope = this.pool.scope();
      const { error } = await scope.client().from("t").insert([] as never);
      await scope.close().drained;
      if (error) this.failed++;
      else this.succeeded++;
      await delay(10);
    }
  }

  async [Symbol.asyncDispose](): Promise<void> {
    this.#stopped = true;
    await this.pool.shutdown(0);
    await Promise.all(this.#running);
    await this.backend[Symbol.asyncDispose]();
  }
}

Deno.test(
  "outage under load: the breaker keeps calls from the backend, loses no read, and ends within a second",
  ENDED_BY_FAULTS,
  async () => {
    const options = { callers: 100, everyMs: 2_000, outageMs: 3_000, deadlineMs: 30_000 };
    const run = (config: Partial<SupabasePoolConfig>) => runOutage({ ...options, config });
    const [without, both] = await Promise.all([
      run(CONFIGURATIONS["neither"] ?? {}),
      run(CONFIGURATIONS["both (default)"] ?? {}),
    ]);
    // Ten failures open the circuit, with those under way; then one probe every 500 ms or more.
    assert(both.reached <= 10 + 50 + 3_000 / 500, `${both.reached} calls reached the backend`);
    assert(both.mostInASecond <= 3, `${both.mostInASecond} probes in a second`);
    assert(without.reached > 5 * both.reached, `${without.reached} calls without, ${both.reached} with breaker`);
    assertEquals(both.lostReads, 0);
    let { firstSuccessMs } = both;
    // A loaded machine may stop the process at that moment.
    for (let again = 0; firstSuccessMs > 1_000 && again < 3; again++) {
      firstSuccessMs = (await runOutage({ ...options, outageMs: 1_000, config: {} })).firstSuccessMs;
    }
    assert(firstSuccessMs <= 1_000, `the first success came after ${firstSuccessMs} ms`);
  },
);

Deno.test(
  "a backend that is killed gets one probe at a time when it is back, and calls succeed soon",
  ENDED_BY_FAULTS,
  async () => {
    await using load = new Load();
    await load.success();
    assertEquals(load.state, "closed");
    load.backend.kill();
    await until("the circuit opens", () => load.state === "open");
    await delay(300);
    const failed = load.failed;
    await delay(300);
    assert(load.failed > failed, "calls are rejected meanwhile");
    const backAt = performance.now();
    load.backend.latencyMs = 20;
    load.backend.start();
    const tookMs = await load.success();
    const seen = () => load.backend.seen.filter(({ at }) => at >= backAt);
    await until("calls are sent again", () => seen().length > 1);
    const [first, second] = seen();
    assert(first && second && second.at - first.at >= 15, "nothing was sent until the probe had succeeded");
    assertEquals(load.state, "closed");
    assert(tookMs <= RECOVERY_MS, `${tookMs} ms`);
  },
);

Deno.test(
  "a backend that is slow keeps its circuit closed, and one that is slower than requestTimeoutMs opens it",
  ENDED_BY_FAULTS,
  async () => {
    await using load = new Load({ requestTimeoutMs: 200 });
    await load.success();
    load.backend.latencyMs = 100;
    await delay(600);
    assertEquals([load.state, load.failed], ["closed", 0]);
    load.backend.latencyMs = 5_000;
    await until("the circuit opens", () => load.state === "open");
    const openedAt = performance.now();
    await delay(1_500);
    // A probe is sent at most every 500 ms, and each times out after 200 ms.
    const probes = load.backend.countBetween(openedAt, performance.now());
    assert(probes <= 4, `${probes} calls in 1.5 s`);
    load.backend.latencyMs = 0;
    const tookMs = await load.success();
    assert(tookMs <= RECOVERY_MS, `${tookMs} ms`);
  },
);

Deno.test(
  "a backend that accepts and never responds gets one probe a second, and none is stuck",
  ENDED_BY_FAULTS,
  async () => {
    await using load = new Load({ requestTimeoutMs: 500, circuitBreaker: { probeTimeoutMs: 300 } });
    await load.success();
    load.backend.mode = "silent";
    await until("the circuit opens", () => load.state === "open");
    const openedAt = performance.now();
    await delay(2_000);
    const probes = load.backend.seen.filter(({ at }) => at >= openedAt);
    assert(probes.length >= 2 && probes.length <= 7, `${probes.length} probes in 2 s`);
    const gaps = probes.slice(1).map(({ at }, i) => at - (probes[i]?.at ?? 0));
    // Of their arrivals, which a busy machine moves.
    assert(gaps.every((gap) => gap >= 200), `${gaps} ms between probes`);
    load.backend.mode = "up";
    const tookMs = await load.success();
    assert(tookMs <= RECOVERY_MS, `${tookMs} ms`);
    assertEquals(load.state, "closed");
  },
);

Deno.test(
  "a backend that flaps gets few calls while it is down, and calls succeed each time it is up",
  ENDED_BY_FAULTS,
  async () => {
    await using load = new Load({ circuitBreaker: { openMs: 100 } });
    await load.success();
    for (let nth = 0; nth < 4; nth++) {
      load.backend.mode = "unavailable";
      const downAt = performance.now();
      await delay(500);
      const reached = load.backend.countBetween(downAt, performance.now());
      // Those that open the circuit, those under way, and a probe every 100 ms or more.
      assert(reached <= 10 + CALLERS + 5, `${reached} calls while it was down`);
      load.backend.mode = "up";
      const tookMs = await load.success();
      assert(tookMs <= RECOVERY_MS, `${tookMs} ms`);
      await delay(300);
      assertEquals(load.state, "closed");
    }
  },
);

Deno.test({
  name: "an isolate that was frozen goes on at once: its circuit stays closed, or is asked for with the first call",
  ignore: Deno.build.os === "windows",
  ...ENDED_BY_FAULTS,
  async fn() {
    await using backend = new Backend();
    backend.latencyMs = 20;
    const child = new Deno.Command(Deno.execPath(), {
      args: [
        "run",
        "-A",
        "--no-check",
        ...denoArgs(),
        new URL("./frozen_isolate.ts", import.meta.url).pathname,
        backend.url,
      ],
      stdin: "piped",
      stdout: "piped",
      stderr: "inherit",
    }).spawn();
    const input = child.stdin.getWriter();
    let output = "";
    const reading = (async () => {
      for await (const text of child.stdout.pipeThrough(new TextDecoderStream())) output += text;
    })();
    try {
      await until("the isolate calls", () => backend.seen.length > 100);
      // Calls that are under way get no response before the freeze has ended: they are overdue when it goes on.
      backend.mode = "silent";
      await delay(200);
      child.kill("SIGSTOP");
      await delay(2_500);
      backend.mode = "up";
      const before = backend.seen.length;
      child.kill("SIGCONT");
      await until("the isolate calls again", () => backend.seen.length > before + 100);
      await input.write(new TextEncoder().encode("?\n"));
      await until("the isolate reports", () => output.includes("state: "));
      assert(output.includes("state: closed"), output);
      assert(!output.includes("opened"), output);

      // Now the circuit is open when the isolate is frozen.
      backend.mode = "unavailable";
      await until("the circuit opens", () => output.includes("opened"));
      child.kill("SIGSTOP");
      await delay(1_200);
      backend.mode = "up";
      const frozen = backend.seen.length;
      const continuedAt = performance.now();
      child.kill("SIGCONT");
      await until("a probe arrives", () => backend.seen.length > frozen);
      assert((backend.seen[frozen]?.at ?? Infinity) - continuedAt <= 1_000);
      await until("the circuit closes", () => output.includes("closed"));
    } finally {
      child.kill("SIGKILL");
      await input.close().catch(() => {});
      await child.status;
      await reading.catch(() => {});
    }
  },
});
