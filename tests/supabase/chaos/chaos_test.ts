/** Faults of the Data API in real time: the states of breakers are asserted from what the backend saw. */
import { assert, assertEquals } from "@std/assert";
import { delay } from "@std/async";
import { type Clock, systemClock } from "../../../shared/resilience/mod.ts";
import { SupabaseConnectionPool, type SupabasePoolConfig } from "../../../shared/supabase/mod.ts";
import { denoArgs } from "../../support/deno_process.ts";
import { until } from "../../support/until.ts";
import { Backend } from "./backend.ts";
import { CONFIGURATIONS, runOutage } from "./outage.ts";

const CALLERS = 20;

/** The longest time until a call succeeds again: an open circuit asks after 750 ms, or a probe times out before. */
const RECOVERY_MS = 1_000;

/** A call that the pool sent. */
interface SentCall {
  /** The instant at which the pool admitted it, as its clock gives it. */
  readonly at: number;
  /** True if it was sent as a probe. */
  readonly isProbe: boolean;
  /** The number of other calls that had not settled then. */
  readonly others: number;
}

/** The time between two checks that the process runs, in ms. */
const EVERY_MS = 5;

/** Measures the time for which this process did not run, as a loaded machine has it. */
class StoppedTime implements Disposable {
  ms = 0;
  #latest = performance.now();
  readonly #timer = setInterval(() => {
    const now = performance.now();
    this.ms += Math.max(0, now - this.#latest - 2 * EVERY_MS);
    this.#latest = now;
  }, EVERY_MS);

  [Symbol.dispose](): void {
    clearInterval(this.#timer);
  }
}

/** Callers that write all the time, with a pause of 10 ms, each in a scope of its own. */
class Load implements AsyncDisposable {
  readonly backend = new Backend();
  readonly pool: SupabaseConnectionPool<unknown>;
  /** Each call that was sent, in order. */
  readonly sent: SentCall[] = [];
  succeeded = 0;
  failed = 0;
  #stopped = false;
  readonly #running: Promise<void>[];

  constructor(config: Partial<SupabasePoolConfig> = {}) {
    let [now, underWay] = [0, 0];
    // The latest reading before a call is sent is that of its circuit.
    const clock: Clock = { ...systemClock, now: () => now = systemClock.now() };
    const send: typeof fetch = async (input, init) => {
      this.sent.push({ at: now, isProbe: this.state === "half-open", others: underWay++ });
      try {
        return await fetch(input, init);
      } finally {
        underWay--;
      }
    };
    const options = { maxConnections: CALLERS, fetch: send, ...config };
    this.pool = SupabaseConnectionPool.getInstance(this.backend.url, "sb_publishable_chaos", options, { clock });
    this.#running = Array.from({ length: CALLERS }, () => this.#call());
  }

  get state(): string | undefined {
    return this.pool.circuits.snapshot().rest?.state;
  }

  /** Resolves once a call has succeeded. */
  async success(): Promise<void> {
    const { succeeded } = this;
    await until("a call succeeds", () => this.succeeded > succeeded);
  }

  /** Lets the backend recover, and checks that a call succeeds soon. */
  async recovers(recover: () => void): Promise<void> {
    using stopped = new StoppedTime();
    const start = performance.now();
    recover();
    await this.success();
    const tookMs = performance.now() - start - stopped.ms;
    assert(tookMs <= RECOVERY_MS, `${tookMs} ms, and ${stopped.ms} ms in which the process did not run`);
  }

  /** Returns the calls that were sent from the nth on. */
  sentFrom(nth: number): readonly SentCall[] {
    return this.sent.slice(nth);
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

/** Returns the times between calls, in ms. */
function gapsOf(calls: readonly SentCall[]): number[] {
  return calls.slice(1).map(({ at }, i) => at - (calls[i]?.at ?? 0));
}

Deno.test(
  "outage under load: the breaker keeps calls from the backend, loses no read, and ends within a second",
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
    const [sent, seen] = [load.sent.length, load.backend.seen.length];
    load.backend.latencyMs = 20;
    await load.recovers(() => load.backend.start());
    await until("calls are sent again", () => load.backend.seen.length > seen + 1);
    assertEquals(load.backend.seen[seen]?.underWay, 1);
    const probes = load.sentFrom(sent).filter(({ isProbe }) => isProbe);
    assert(probes.length >= 1 && probes.every(({ others }) => others === 0), "nothing is sent beside a probe");
    assertEquals(load.state, "closed");
  },
);

Deno.test(
  "a backend that is slow keeps its circuit closed, and one that is slower than requestTimeoutMs opens it",
  async () => {
    await using load = new Load({ requestTimeoutMs: 200 });
    await load.success();
    load.backend.latencyMs = 100;
    await delay(600);
    assertEquals([load.state, load.failed], ["closed", 0]);
    load.backend.latencyMs = 5_000;
    await until("the circuit opens", () => load.state === "open");
    const opened = load.sent.length;
    await until("three probes are sent", () => load.sent.length >= opened + 3);
    const probes = load.sentFrom(opened);
    assert(probes.every(({ isProbe }) => isProbe));
    // Each times out after 200 ms, and opens the circuit for 500 ms: by the clock, which is read twice for a call.
    assert(gapsOf(probes).every((gap) => gap >= 690), `${gapsOf(probes)} ms between probes`);
    assert(load.backend.seen.length <= load.sent.length, "all that the backend saw was sent");
    await load.recovers(() => load.backend.latencyMs = 0);
  },
);

Deno.test(
  "a backend that accepts and never responds gets one probe a second, and none is stuck",
  async () => {
    await using load = new Load({ requestTimeoutMs: 500, circuitBreaker: { probeTimeoutMs: 300 } });
    await load.success();
    load.backend.mode = "silent";
    await until("the circuit opens", () => load.state === "open");
    const opened = load.sent.length;
    await until("five probes are sent", () => load.sent.length >= opened + 5);
    const probes = load.sentFrom(opened);
    assert(probes.every(({ isProbe }) => isProbe));
    // A probe is late after 300 ms.
    assert(gapsOf(probes).every((gap) => gap >= 300), `${gapsOf(probes)} ms between probes`);
    await until("the backend sees them", () => load.backend.seen.length >= opened + 5);
    assert(load.backend.seen.length <= load.sent.length, "all that the backend saw was sent");
    await load.recovers(() => load.backend.mode = "up");
    assertEquals(load.state, "closed");
  },
);

Deno.test(
  "a backend that flaps gets few calls while it is down, and calls succeed each time it is up",
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
      await load.recovers(() => load.backend.mode = "up");
      await delay(300);
      assertEquals(load.state, "closed");
    }
  },
);

Deno.test({
  name: "an isolate that was frozen goes on at once: its circuit stays closed, or is asked for with the first call",
  ignore: Deno.build.os === "windows",
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
