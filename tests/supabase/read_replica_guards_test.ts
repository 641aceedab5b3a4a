import { assert, assertEquals, assertRejects } from "@std/assert";
import { type CircuitBreaker, systemClock } from "../../shared/resilience/mod.ts";
import { ReadBalancer } from "../../shared/supabase/calls/read_balancer.ts";
import { ReadReplicas, type ReadReplicasOptions } from "../../shared/supabase/calls/read_replicas.ts";
import { FakeClock } from "../support/fake_clock.ts";
import { until } from "../support/until.ts";
import { received, startReplicas } from "./replica_rig.ts";

const UNAVAILABLE = () => new Response(null, { status: 503 });
const EMPTY = () => Response.json([]);

/** Options whose circuits open at the second failure, and stay open. */
const QUICK = { circuitBreaker: { consecutiveFailures: 2, openMs: 60_000 }, retryReads: false } as const;

Deno.test("SupabaseConnectionPool reads from replicas while the project's circuit is open, and they do not close it", async () => {
  await using rig = await startReplicas(QUICK);
  const { project, replicas, pool } = rig;
  project.answer = UNAVAILABLE;
  for (let write = 0; write < 2; write++) {
    await using lease = await pool.lease();
    await lease.client.from("notes").insert({});
  }
  assertEquals(pool.circuits.snapshot()["rest"]?.state, "open");
  for (let read = 0; read < 6; read++) {
    await using lease = await pool.lease();
    assertEquals((await lease.client.from("notes").select()).error, null);
  }
  assertEquals(replicas[0].requests.length + replicas[1].requests.length, 6);
  assertEquals(pool.circuits.snapshot()["rest"]?.state, "open");
  // What the project has to serve is still rejected at once.
  await using lease = await pool.lease();
  const { error } = await lease.client.from("notes").insert({});
  assert(error?.message.includes("circuit"), error?.message);
  for (const replica of replicas) replica.answer = UNAVAILABLE;
  const { error: unserved } = await lease.client.from("notes").select();
  assert(unserved?.message.includes("circuit"), unserved?.message);
  assertEquals(project.requests.length, 2);
});

Deno.test("SupabaseConnectionPool counts a read that no replica serves for the project's circuit, once for all its redirects", async () => {
  await using rig = await startReplicas({ circuitBreaker: { consecutiveFailures: 2, openMs: 20 }, retryReads: false });
  const { project, replicas, pool } = rig;
  for (const each of [project, ...replicas]) each.answer = UNAVAILABLE;
  const read = async () => {
    await using lease = await pool.lease();
    return await lease.client.from("notes").select();
  };
  for (let each = 0; each < 2; each++) await read();
  assertEquals(pool.circuits.snapshot()["rest"]?.state, "open");
  project.answer = (request) =>
    request.url.endsWith("/moved") ? EMPTY() : Response.redirect(`${project.url}/rest/v1/moved`);
  // Each probe has to give its permit back, or the circuit stays half-open.
  await until("the circuit closes", async () => {
    await read();
    return pool.circuits.snapshot()["rest"]?.state === "closed";
  });
  assertEquals(received(project).slice(-2), ["GET /rest/v1/notes", "GET /rest/v1/moved"]);
});

Deno.test("SupabaseConnectionPool reads from replicas before a redirect to another part of the project", async () => {
  await using rig = await startReplicas();
  const { project, replicas, pool } = rig;
  for (const replica of replicas) {
    replica.answer = () => new Response(null, { status: 302, headers: { location: "/storage/v1/copy" } });
  }
  await using lease = await pool.lease();
  assertEquals((await lease.client.from("notes").select()).error, null);
  assertEquals(received(project), ["GET /storage/v1/copy"]);
});

/** A balancer of two replicas whose calls `send` answers. */
function balancerOf(send: typeof fetch, options: Partial<ReadReplicasOptions> = {}): ReadReplicas {
  return new ReadReplicas({
    baseUrl: "https://p.example",
    urls: ["https://a.example", "https://b.example"],
    clock: systemClock,
    random: () => 0,
    requestTimeoutMs: 1_000,
    send,
    onBreaker: () => {},
    ...options,
  });
}

const READ = "https://p.example/rest/v1/notes";

/** Sends a read whose first target has the given response, and returns the hosts that it was sent to. */
async function hostsAfter(first: () => Response, method = "GET"): Promise<string> {
  const hosts: string[] = [];
  const send = (input: RequestInfo | URL) => {
    hosts.push(new URL(String(input)).host.slice(0, 1));
    return Promise.resolve(hosts.length === 1 ? first() : EMPTY());
  };
  const response = await balancerOf(send).send(READ, { method }, () => {});
  await response.body?.cancel();
  return hosts.join("");
}

Deno.test("ReadReplicas.send() sends a read elsewhere after a failure that there is only on a replica", async () => {
  const json = (code: unknown, status = 500) => () => Response.json({ code, message: "m" }, { status });
  for (const code of ["40001", "40P01", "55000", "57P01", "57P03"]) assertEquals(await hostsAfter(json(code)), "ab");
  for (const code of ["22012", "57014", "P0001", undefined, null, 5]) assertEquals(await hostsAfter(json(code)), "a");
  for (const status of [400, 403, 409, 501]) assertEquals(await hostsAfter(json("40001", status)), "a");
  const other = (body: BodyInit | null, type = "application/json") => () =>
    new Response(body, { status: 500, headers: { "content-type": type } });
  assertEquals(await hostsAfter(other('{"code":"40001"}', "text/plain")), "a");
  for (const body of [null, "", "{", "null", "7", '"40001"', "[]"]) {
    assertEquals(await hostsAfter(other(body)), "a", String(body));
  }
  assertEquals(await hostsAfter(() => new Response(null, { status: 500 }), "HEAD"), "ab");
  assertEquals(await hostsAfter(() => new Response(null, { status: 500 })), "a");
});

Deno.test("ReadReplicas.send() reads a bounded part of an error, and passes the whole of it on", async () => {
  let pulled = 0;
  const long = () =>
    new Response(
      new ReadableStream({
        pull(controller) {
          if (++pulled === 100) controller.close();
          else controller.enqueue(new Uint8Array(1_024).fill(32));
        },
      }, { highWaterMark: 0 }),
      { status: 500, headers: { "content-type": "application/json" } },
    );
  const response = await balancerOf(() => Promise.resolve(long())).send(READ, undefined, () => {});
  assert(pulled < 20, String(pulled));
  assertEquals((await response.bytes()).length, 99 * 1_024);
});

Deno.test("ReadReplicas.send() sends a read elsewhere whose error breaks off or hangs, also with a fetch that ignores signals", async () => {
  const failing = (body: ReadableStream) => () =>
    new Response(body, { status: 500, headers: { "content-type": "application/json" } });
  const broken = new ReadableStream({ pull: (controller) => controller.error(new TypeError("reset")) });
  assertEquals(await hostsAfter(failing(broken)), "ab");
  const clock = new FakeClock();
  const hosts: string[] = [];
  const late = Promise.withResolvers<Response>();
  const canceled = Promise.withResolvers<void>();
  const send = (input: RequestInfo | URL) => {
    hosts.push(new URL(String(input)).host);
    if (hosts.length === 1) return Promise.resolve(failing(new ReadableStream())());
    return hosts.length === 2 ? late.promise : Promise.resolve(EMPTY());
  };
  const sending = balancerOf(send, { clock }).send(READ, undefined, () => hosts.push("project"));
  for (let step = 0; step < 4; step++) await clock.advance(300);
  await sending;
  assertEquals(hosts, ["a.example", "b.example", "project", "p.example"]);
  // A response that arrives late is not read.
  late.resolve(new Response(new ReadableStream({ cancel: () => canceled.resolve() })));
  await canceled.promise;
});

Deno.test("ReadReplicas.send() notifies the observer once of each call, and of none that is refused as overload", async () => {
  for (
    const [first, outcomes] of [
      [() => EMPTY(), ["ok"]],
      [UNAVAILABLE, ["ignored", "ok"]],
      [() => new Response(null, { status: 404 }), ["ignored"]],
    ] as const
  ) {
    let [sent, begun] = [0, 0];
    const ended: string[] = [];
    const observer = { begin: () => ++begun, end: (_call: unknown, outcome: string) => void ended.push(outcome) };
    const balancer = balancerOf(() => Promise.resolve(++sent === 1 ? first() : EMPTY()), { observer });
    await (await balancer.send(READ, undefined, () => {})).body?.cancel();
    assertEquals([ended, begun], [[...outcomes], outcomes.length]);
  }
});

Deno.test("ReadReplicas.send() leaves no probe under way when fetch throws at once", async () => {
  const breakers: CircuitBreaker[] = [];
  const clock = new FakeClock();
  const failing = () => {
    throw new TypeError("invalid header");
  };
  const balancer = balancerOf(failing, { clock, breaker: { clock }, onBreaker: (breaker) => breakers.push(breaker) });
  for (const breaker of breakers) breaker.restore({ state: "half-open", probes: 0 });
  await assertRejects(() => balancer.send(READ, undefined, () => {}), TypeError, "invalid header");
  for (const breaker of breakers) assertEquals(breaker.snapshot(), { state: "half-open", probes: 0 });
  assertEquals(clock.timers, 0);
});

Deno.test("ReadReplicas.send() does not count calls that a frozen isolate finds overdue, and sends them elsewhere", async () => {
  for (const [frozenMs, state] of [[300_000, "closed"], [0, "open"]] as const) {
    const clock = new FakeClock();
    const hosts: string[] = [];
    const breakers: CircuitBreaker[] = [];
    const balancer = balancerOf((input) => {
      const { host } = new URL(String(input));
      hosts.push(host);
      return host === "p.example" ? Promise.resolve(EMPTY()) : new Promise(() => {});
    }, {
      clock,
      urls: ["https://a.example"],
      breaker: { consecutiveFailures: 2, clock },
      onBreaker: (breaker) => breakers.push(breaker),
    });
    const reads = [balancer.send(READ, undefined, () => {}), balancer.send(READ, undefined, () => {})];
    await clock.advance(100);
    clock.freeze(frozenMs);
    await clock.advance(500);
    for (const response of await Promise.all(reads)) assertEquals(response.status, 200);
    assertEquals(hosts, ["a.example", "a.example", "p.example", "p.example"]);
    assertEquals(breakers.map((breaker) => breaker.snapshot().state), [state]);
  }
});

Deno.test("ReadReplicas.send() does not count an aborted call as a fast response, nor go on after an abort", async () => {
  const controllers: AbortController[] = [];
  const hosts: string[] = [];
  let now = 0;
  const clock = { ...systemClock, now: () => now };
  const send: typeof fetch = (input, init) => {
    const host = new URL(String(input)).host.slice(0, 1);
    hosts.push(host);
    if (host === "b") now += 20;
    if (host === "b" || !controllers.length) return Promise.resolve(EMPTY());
    now += 100;
    const { promise, reject } = Promise.withResolvers<Response>();
    init?.signal?.addEventListener("abort", () => reject(init.signal?.reason));
    controllers[0]?.abort(new Error("enough"));
    return promise;
  };
  // Draws `a` first, and `b` as the other one.
  const balancer = balancerOf(send, { clock, breaker: undefined });
  const read = (signal?: AbortSignal) =>
    balancer.send(READ, signal ? { signal } : undefined, () => hosts.push("project"));
  const controller = new AbortController();
  controllers.push(controller);
  await assertRejects(() => read(controller.signal), Error, "enough");
  assertEquals(hosts, ["a"]);
  // It has hung for 100 ms, so that the other one is chosen, which takes 20 ms.
  for (let each = 0; each < 3; each++) await read();
  assertEquals(hosts, ["a", "b", "b", "b"]);
});

Deno.test("ReadReplicas.send() ends with the reason of its caller, who aborts while an error is read", async () => {
  const controller = new AbortController();
  const hosts: string[] = [];
  const send = (input: RequestInfo | URL) => {
    hosts.push(new URL(String(input)).host);
    const pull = () => controller.abort(new Error("enough"));
    const body = new ReadableStream({ pull }, { highWaterMark: 0 });
    return Promise.resolve(new Response(body, { status: 500, headers: { "content-type": "application/json" } }));
  };
  const reading = balancerOf(send).send(READ, { signal: controller.signal }, () => hosts.push("project"));
  await assertRejects(() => reading, Error, "enough");
  assertEquals(hosts, ["a.example"]);
});

Deno.test("ReadBalancer loads the balancer of replicas once, and again after a failure to load it", async () => {
  let loads = 0;
  const load = () => {
    if (++loads === 1) return Promise.reject(new TypeError("cannot load the module"));
    return Promise.resolve({ send: () => Promise.resolve(EMPTY()) });
  };
  const options = { baseUrl: "https://p.example" } as ReadReplicasOptions;
  const balancer = new ReadBalancer(options, load);
  const send = balancer.senderOf({}, { url: READ, method: "GET" });
  await assertRejects(async () => await send?.(READ, undefined, () => {}), TypeError, "cannot load");
  for (let each = 0; each < 2; each++) assertEquals((await send?.(READ, undefined, () => {}))?.status, 200);
  assertEquals(loads, 2);
});

Deno.test("ReadBalancer leaves to the project what is not a read, and the reads of a scope that has written", () => {
  const balancer = new ReadBalancer({ baseUrl: "https://p.example" } as ReadReplicasOptions);
  const serves = (scope: object, method: string, url = READ) => balancer.senderOf(scope, { url, method }) !== undefined;
  const scope = {};
  assertEquals(["GET", "HEAD", "OPTIONS"].map((method) => serves(scope, method)), [true, true, false]);
  assertEquals(serves(scope, "GET", "https://p.example/rest/v1x"), false);
  assertEquals([serves(scope, "POST"), serves(scope, "GET"), serves({}, "GET")], [false, false, true]);
});
