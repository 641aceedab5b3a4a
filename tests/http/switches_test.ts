/**
 * Tests the switches of the client pools with functions that a server serves: whatever is off, a function works.
 */
import { assert, assertEquals, assertFalse, assertThrows } from "@std/assert";
import { delay } from "@std/async";
import { createClient, type SupabaseClient } from "@supabase/supabase-js";
import { ConfigError } from "../../shared/pool/mod.ts";
import { PooledBaseService } from "../../shared/services/mod.ts";
import { healthRoute, type PooledHandler, readEnvironment } from "../support/http.ts";
import { until } from "../support/until.ts";
import { environment, type Rig, setUp } from "./real_rig.ts";
import { sharedSecretToken } from "./tokens.ts";

/** A function behind a real server. */
interface Served extends AsyncDisposable {
  readonly rig: Rig;
  /** Sends a request over HTTP. */
  get(path?: string, headers?: HeadersInit): Promise<Response>;
  /** Reads `/health/pool`. */
  health(apikey?: string): Promise<{ readonly status: number; readonly body: Health }>;
}

interface Health {
  readonly status: string;
  readonly healthy: boolean;
  readonly notes?: readonly string[];
  readonly details: {
    readonly stats: Readonly<Record<string, number | null>>;
    readonly testQuery: Readonly<Record<string, unknown>>;
    readonly switchedOff?: readonly string[];
  };
  readonly checks: Readonly<Record<string, readonly [Readonly<Record<string, unknown>>]>>;
}

const list: PooledHandler<unknown> = async (_request, { supabase }) => {
  const { data, error } = await supabase.from("budgets").select();
  if (error) throw error;
  return Response.json(data);
};

/** Serves a function with `variables`. */
function serve(
  variables: Record<string, string>,
  handler: PooledHandler<unknown> = list,
  options: Parameters<typeof setUp>[2] = {},
): Served {
  const rig = setUp(handler, variables, options);
  const server = Deno.serve({ hostname: "127.0.0.1", port: 0, onListen() {} }, (request) => rig.handle(request));
  const get = (path = "/budgets", headers: HeadersInit = {}) =>
    fetch(`http://127.0.0.1:${server.addr.port}${path}`, { headers });
  return {
    rig,
    get,
    health: async (apikey) => {
      const response = await get("/budgets/health/pool", apikey === undefined ? {} : { apikey });
      return { status: response.status, body: await response.json() };
    },
    async [Symbol.asyncDispose]() {
      await rig[Symbol.asyncDispose]();
      await server.shutdown();
    },
  };
}

/** Returns the four counters of a response. */
function counters({ headers }: Response): Record<string, number> {
  const names = ["Total-Connections", "Active-Connections", "Idle-Connections", "Waiting-Requests"];
  return Object.fromEntries(names.map((name) => [name, Number(headers.get(`X-Pool-${name}`) ?? NaN)]));
}

const UNUSED = { "Total-Connections": 0, "Active-Connections": 0, "Idle-Connections": 0, "Waiting-Requests": 0 };

async function sendMany(served: Served, count: number): Promise<Response[]> {
  const responses = await Promise.all(Array.from({ length: count }, () => served.get()));
  await Promise.all(responses.map((response) => response.body?.cancel()));
  return responses;
}

Deno.test("POOL_ENABLED=off serves every request at once, with a slot of its own that is not kept", async () => {
  await using served = serve({ POOL_ENABLED: "off", POOL_MAX_CONNECTIONS: "2", POOL_MAX_WAITERS: "0" });
  const { rig, get } = served;
  const release = Promise.withResolvers<void>();
  rig.project.answer = async ({ url }) => {
    if (!url.includes("pool_health_probe")) await release.promise;
    return Response.json([{ id: 1 }]);
  };
  const sent = Array.from({ length: 60 }, () => get());
  await until("60 calls are under way", () => rig.project.load.now === 60);
  const { activeConnections, totalConnections, waitingForConnection } = rig.service.getPoolStats();
  assertEquals([activeConnections, totalConnections, waitingForConnection], [60, 60, 0]);
  const busy = (await served.health("sb_secret_test")).body;
  assertEquals([busy.status, busy.details.stats.activeConnections], ["pass", 60]);
  assertEquals(busy.details.stats.maxConnections, null, "no limit");
  release.resolve();
  const responses = await Promise.all(sent);
  assertEquals(responses.map(({ status }) => status), Array(60).fill(200));
  assertEquals(await Promise.all(responses.map((response) => response.json())), Array(60).fill([{ id: 1 }]));
  for (const response of responses) {
    assertEquals(counters(response)["Waiting-Requests"], 0);
    assertEquals(counters(response)["Idle-Connections"], 0);
  }
  const idle = await get();
  await idle.body?.cancel();
  assertEquals(counters(idle), UNUSED);
  const { totalCreated, totalDestroyed, totalAcquired } = rig.service.getPoolStats();
  assertEquals([totalCreated, totalDestroyed, totalAcquired], [61, 61, 61]);
});

Deno.test("POOL_ENABLED=off acts for each caller, and resize() has no effect", async () => {
  await using served = serve({ POOL_ENABLED: "off" });
  const users = await Promise.all(["ada", "bob"].map((sub) => sharedSecretToken({ sub })));
  await Promise.all(users.map(async (token) => {
    const response = await served.get("/budgets", { Authorization: `Bearer ${token}` });
    assertEquals([response.status, await response.json()], [200, []]);
  }));
  const authorizations = served.rig.project.requests.map(({ authorization }) => authorization);
  assertEquals(new Set(authorizations), new Set(users.map((token) => `Bearer ${token}`)));
  const pool = served.rig.service.getConnectionPool();
  pool.resize({ maxConnections: 1, minConnections: 1 });
  assertEquals(pool.limits, { maxConnections: Infinity, minConnections: 0, reservedConnections: 0 });
});

Deno.test("with POOL_ENABLED=on, the same requests wait for a slot", async () => {
  await using served = serve({ POOL_ENABLED: "on", POOL_MAX_CONNECTIONS: "2" });
  served.rig.project.answer = async () => {
    await delay(2);
    return Response.json([]);
  };
  assert((await sendMany(served, 20)).every(({ status }) => status === 200));
  assertEquals(served.rig.project.load.most, 2);
});

Deno.test("POOL_RETRIES=off sends each call once: of views, leases and withRetry, whatever they ask for", async () => {
  class Notes extends PooledBaseService {
    list(): Promise<unknown> {
      return this.withRetry(
        async (client) => {
          const { data, error } = await client.from("notes").select();
          if (error) this.handleError(error);
          return data;
        },
        5,
        1,
      );
    }
  }
  const handler: PooledHandler<unknown> = async (request, { supabase, pool }) => {
    switch (new URL(request.url).pathname) {
      case "/view": {
        const { error, status } = await supabase.from("notes").select();
        return Response.json(error, { status });
      }
      case "/lease": {
        await using lease = await pool.lease({ retryReads: true });
        const { error, status } = await lease.client.from("notes").select();
        return Response.json(error, { status });
      }
      default:
        return Response.json(await new Notes(pool).list());
    }
  };
  await using served = serve({ POOL_RETRIES: "off", POOL_MAX_RETRIES: "9", POOL_RETRY_READS: "on" }, handler);
  const { project } = served.rig;
  project.answer = () => new Response("{}", { status: 503, headers: { "Retry-After": "0" } });
  for (const path of ["/view", "/lease", "/withRetry"]) {
    project.requests.length = 0;
    const response = await served.get(path);
    await response.body?.cancel();
    assertEquals([path, response.status, project.requests.length], [path, 503, 1]);
  }
  project.answer = () => Response.json([]);
  const working = await served.get("/withRetry");
  assertEquals([working.status, await working.json()], [200, []]);
});

Deno.test("POOL_PRIORITIES=off serves every lane in the order of arrival, and reserves nothing", async () => {
  const handler: PooledHandler<unknown> = async (request, { pool }) => {
    const lane = new URL(request.url).pathname.slice(1) as "admin" | "high" | "normal" | "low";
    await using lease = await pool.lease({ lane });
    await lease.client.from(lane).select();
    return new Response(lane);
  };
  const orderOf = async (variables: Record<string, string>) => {
    await using served = serve({ POOL_MAX_CONNECTIONS: "1", POOL_RETRIES: "off", ...variables }, handler);
    const { rig } = served;
    const release = Promise.withResolvers<void>();
    rig.project.answer = async () => {
      await release.promise;
      return Response.json([]);
    };
    const sent: Promise<Response>[] = [served.get("/normal")];
    await until("a call is under way", () => rig.project.load.now === 1);
    for (const [waiting, lane] of ["low", "normal", "high", "admin"].entries()) {
      sent.push(served.get(`/${lane}`));
      await until("it waits", () => rig.service.getPoolStats().waitingForConnection === waiting + 1);
    }
    release.resolve();
    const responses = await Promise.all(sent);
    assertEquals(await Promise.all(responses.map((each) => each.text())), ["normal", "low", "normal", "high", "admin"]);
    return rig.project.requests.slice(1).map(({ path }) => /v1\/(\w+)/.exec(path)?.[1]);
  };
  assertEquals(await orderOf({ POOL_PRIORITIES: "off" }), ["low", "normal", "high", "admin"]);
  assertEquals(await orderOf({}), ["admin", "high", "normal", "low"]);

  await using served = serve({
    POOL_PRIORITIES: "off",
    POOL_MAX_CONNECTIONS: "3",
    POOL_RESERVED_CONNECTIONS: "2",
  });
  served.rig.project.answer = async () => {
    await delay(5);
    return Response.json([]);
  };
  await sendMany(served, 12);
  assertEquals(served.rig.project.load.most, 3, "the reserved slots serve everyone");
  assertEquals(served.rig.service.getConnectionPool().limits.reservedConnections, 0);
  served.rig.service.getConnectionPool().resize({ reservedConnections: 1 });
  assertEquals(served.rig.service.getConnectionPool().limits.reservedConnections, 0);
});

Deno.test("POOL_CIRCUIT_BREAKER=off sends every call to a target that fails, and the next one that works", async () => {
  const callsOf = async (variables: Record<string, string>) => {
    await using served = serve({ POOL_RETRIES: "off", ...variables });
    const { project } = served.rig;
    project.answer = () => new Response("{}", { status: 502 });
    for (let call = 0; call < 30; call++) await (await served.get()).body?.cancel();
    const sent = project.requests.length;
    project.answer = () => Response.json([]);
    const { status, body } = await served.get();
    await body?.cancel();
    return [sent, status];
  };
  assertEquals(await callsOf({ POOL_CIRCUIT_BREAKER: "off" }), [30, 200]);
  const [sent, status] = await callsOf({});
  assert(Number(sent) < 30, "the open circuit rejects calls");
  assertEquals(status, 503);
});

Deno.test("POOL_ADAPTIVE_LIMIT=off and dry-run keep the limit of auto at 10, and on lets it grow", async () => {
  const limitsOf = async (mode: string) => {
    await using served = serve({ POOL_MAX_CONNECTIONS: "auto", POOL_ADAPTIVE_LIMIT: mode });
    served.rig.project.answer = async () => {
      await delay(1);
      return Response.json([]);
    };
    const limits = new Set<number>();
    for (let round = 0; round < 20; round++) {
      for (const { status, headers } of await sendMany(served, 40)) {
        assertEquals(status, 200);
        limits.add(Number(headers.get("X-Pool-Limit")));
      }
    }
    return limits;
  };
  assertEquals(await limitsOf("off"), new Set([10]));
  assertEquals(await limitsOf("dry-run"), new Set([10]));
  assert((await limitsOf("on")).size > 1);
});

Deno.test("POOL_ADAPTIVE_LIMIT=off and dry-run leave a working function, whatever was set for the ceiling of auto", async () => {
  for (const mode of ["off", "dry-run"]) {
    for (const priorities of ["on", "off"]) {
      await using served = serve({
        POOL_MAX_CONNECTIONS: "auto",
        POOL_MIN_CONNECTIONS: "50",
        POOL_RESERVED_CONNECTIONS: "20",
        POOL_ADAPTIVE_LIMIT: mode,
        POOL_PRIORITIES: priorities,
      });
      const [first] = await sendMany(served, 20);
      assertEquals([first?.status, first?.headers.get("X-Pool-Limit")], [200, priorities === "on" ? "30" : "10"]);
    }
  }
});

Deno.test("a function works with any combination of switches", async () => {
  const switches = [
    "ENABLED",
    "RETRIES",
    "PRIORITIES",
    "CIRCUIT_BREAKER",
    "HEALTH_CHECKS",
    "FAIR_SHARE",
    "RETRY_BUDGET",
  ];
  const handler: PooledHandler<unknown> = async (_request, { supabase, pool }) => {
    const read = async () => {
      await using lease = await pool.lease({ lane: "low" });
      return await lease.client.from("b").select();
    };
    const results = await Promise.all([supabase.from("a").select(), read()]);
    for (const { error } of results) if (error) throw error;
    return Response.json(results.map(({ data }) => data));
  };
  for (let nth = 0; nth < 48; nth++) {
    // Each three switches have each of their combinations.
    const isOff = (index: number) => ((nth * 2_654_435_761) >>> (index + 9)) % 2 === 1;
    await using served = serve({
      ...Object.fromEntries(switches.map((name, index) => [`POOL_${name}`, isOff(index) ? "off" : "on"])),
      POOL_ADAPTIVE_LIMIT: ["on", "off", "dry-run"][nth % 3] ?? "on",
      POOL_MAX_CONNECTIONS: nth % 2 === 0 ? "auto" : "3",
      POOL_MIN_CONNECTIONS: nth % 2 === 0 ? "20" : "1",
      POOL_RESERVED_CONNECTIONS: nth % 2 === 0 ? "12" : "1",
    }, handler);
    const what = switches.filter((_name, index) => isOff(index)).join();
    for (const { status } of await sendMany(served, 8)) assertEquals(status, 200, what);
    const { status } = await served.health("sb_secret_test");
    const { activeConnections, waitingForConnection } = served.rig.service.getPoolStats();
    assertEquals([status, activeConnections, waitingForConnection], [200, 0, 0], what);
  }
});

Deno.test("POOL_HEALTH_CHECKS=off reports the counters without a query, and says so", async () => {
  await using served = serve({ POOL_HEALTH_CHECKS: "off" });
  const { project } = served.rig;
  project.answer = () => new Response("{}", { status: 500 });
  const shown = await served.health();
  assertEquals([shown.status, shown.body.status, shown.body.healthy], [200, "pass", true]);
  assertEquals(shown.body.details.testQuery, { success: true, skipped: true });
  assertEquals(shown.body.notes, ["Not checked: health checks are off, the counters are all that is known"]);
  assertEquals(shown.body.checks["dataApi:responseTime"], [{
    componentType: "datastore",
    status: "pass",
    output: "Not checked: health checks are off, the counters are all that is known",
  }]);
  assertEquals(shown.body.details.switchedOff, undefined);
  const detailed = await served.health("sb_secret_test");
  assertEquals(detailed.body.details.testQuery, { success: true, skipped: true, durationMs: 0 });
  assertEquals(detailed.body.details.switchedOff, ["POOL_HEALTH_CHECKS=off"]);
  assertFalse("observedValue" in (detailed.body.checks["dataApi:responseTime"]?.[0] ?? {}));
  assertEquals(project.requests.length, 0);
  await served.rig.service.shutdown(0);
  assertEquals((await served.health()).status, 503, "a pool that is shut down is not healthy");
});

Deno.test("POOL_HEALTH_CHECKS=off turns off the probe of healthRoute() too", async () => {
  await using rig = setUp(list, { POOL_HEALTH_CHECKS: "off" });
  let probes = 0;
  const health = healthRoute({
    variables: environment(rig.project.url),
    service: rig.service,
    probe: () => Promise.resolve(probes++),
  });
  const response = await health(new Request("https://x.test/status"));
  assertEquals([response.status, (await response.json()).details.testQuery.skipped, probes], [200, true, 0]);
});

Deno.test("/health/pool lists with the secret key what is switched off, and nothing where all is on", async () => {
  await using on = serve({});
  assertEquals((await on.health("sb_secret_test")).body.details.switchedOff, undefined);
  await using auto = serve({ POOL_MAX_CONNECTIONS: "auto", POOL_ADAPTIVE_LIMIT: "dry-run" });
  assertEquals((await auto.health("sb_secret_test")).body.details.switchedOff, ["POOL_ADAPTIVE_LIMIT=dry-run"]);
  await using off = serve({
    POOL_ENABLED: "0",
    POOL_RETRIES: "FALSE",
    POOL_PRIORITIES: "off",
    POOL_CIRCUIT_BREAKER: "off",
  });
  assertEquals((await off.health("sb_secret_test")).body.details.switchedOff, [
    "POOL_ENABLED=off",
    "POOL_RETRIES=off",
    "POOL_PRIORITIES=off",
    "POOL_CIRCUIT_BREAKER=off",
  ]);
  assertEquals((await off.health("sb_publishable_test")).body.details.switchedOff, undefined);
});

for (
  const name of [
    "POOL_ENABLED",
    "POOL_RETRIES",
    "POOL_PRIORITIES",
    "POOL_CIRCUIT_BREAKER",
    "POOL_HEALTH_CHECKS",
    "POOL_FAIR_SHARE",
  ]
) {
  Deno.test(`${name} names itself and the values it may have when it has another one`, () => {
    for (const value of ["of", "no", "2", "disabled", "null"]) {
      const error = assertThrows(
        () => readEnvironment(environment("http://localhost:1", { [name]: value })),
        ConfigError,
      );
      const message = `is ${JSON.stringify(value)}, must be on or off, true or false, 1 or 0`;
      assertEquals(error.issues, [{ path: name, message }]);
    }
    for (const value of ["on", "OFF", "true", "False", "1", "0", " off "]) {
      readEnvironment(environment("http://localhost:1", { [name]: value }));
    }
  });
}

Deno.test("with all switches off, a function sends and responds as one on plain supabase-js without retries", async () => {
  const off = {
    POOL_ENABLED: "off",
    POOL_RETRIES: "off",
    POOL_PRIORITIES: "off",
    POOL_CIRCUIT_BREAKER: "off",
    POOL_RETRY_BUDGET: "off",
    POOL_HEALTH_CHECKS: "off",
  };
  type Client = Pick<SupabaseClient, "from" | "rpc">;
  const use = async (client: Client, request: Request) => {
    const { pathname } = new URL(request.url);
    if (pathname === "/insert") {
      const { data, error, status } = await client.from("notes").insert({ text: "a" }).select().single();
      return Response.json({ data, error, status });
    }
    if (pathname === "/rpc") {
      const { data, error, status } = await client.rpc("count_notes", { since: 1 });
      return Response.json({ data, error, status });
    }
    const { data, error, status, count } = await client.from("notes").select("id,text", { count: "exact" }).limit(3);
    return Response.json({ data, error, status, count });
  };
  await using pooled = serve(off, (request, { supabase }) => use(supabase, request));
  const { project } = pooled.rig;
  const token = await sharedSecretToken({ sub: "ada" });
  await using server = Deno.serve({ hostname: "127.0.0.1", port: 0, onListen() {} }, (request) => {
    const client = createClient(project.url, "sb_publishable_test", {
      auth: { persistSession: false, autoRefreshToken: false, detectSessionInUrl: false },
      global: { headers: { Authorization: `Bearer ${token}` } },
      db: { retry: false } as Record<string, unknown>,
    });
    return use(client as Client, request);
  });
  const plain = (path: string) => fetch(`http://127.0.0.1:${server.addr.port}${path}`);
  const shared = (path: string) => pooled.get(path, { Authorization: `Bearer ${token}` });
  /** Returns what the project received and the caller got. */
  const outcome = async (send: (path: string) => Promise<Response>, path: string) => {
    project.requests.length = 0;
    const response = await send(path);
    const sent = project.requests.map(({ method, path, apikey, authorization, headers }) => {
      const names = ["accept", "content-type", "content-profile", "accept-profile", "prefer", "x-retry-count"];
      return { method, path, apikey, authorization, headers: names.map((name) => headers.get(name)) };
    });
    return { status: response.status, body: await response.json(), sent };
  };
  const answers: Record<string, () => Response> = {
    rows: () => Response.json([{ id: 1 }], { headers: { "Content-Range": "0-0/1" } }),
    "an error of the database": () =>
      Response.json({ code: "23505", message: "duplicate", details: null, hint: null }, { status: 409 }),
    "a rejected token": () => Response.json({ code: "PGRST301", message: "JWT expired" }, { status: 401 }),
    "an error of the server": () => Response.json({ message: "boom" }, { status: 500 }),
    "a gateway error": () => new Response("bad gateway", { status: 502 }),
  };
  for (const [name, answer] of Object.entries(answers)) {
    project.answer = answer;
    for (const path of ["/select", "/insert", "/rpc"]) {
      const expected = await outcome(plain, path);
      const actual = await outcome(shared, path);
      assertEquals(expected.sent.length, 1, `${path}, ${name}`);
      assertEquals(actual, expected, `${path}, ${name}`);
    }
  }
  project.answer = () => new Response("{}", { status: 503, headers: { "Retry-After": "0" } });
  for (const path of ["/select", "/insert", "/rpc"]) assertEquals((await outcome(shared, path)).sent.length, 1);

  project.load.most = 0;
  const release = Promise.withResolvers<void>();
  project.answer = async () => {
    await release.promise;
    return Response.json([]);
  };
  const burst = Array.from({ length: 40 }, () => shared("/select"));
  await until("all calls are under way at once", () => project.load.now === 40);
  release.resolve();
  const responses = await Promise.all(burst);
  await Promise.all(responses.map((response) => response.body?.cancel()));
  assertEquals(responses.map(({ status }) => status), Array(40).fill(200));
  project.answer = () => Response.json([]);
  const last = await pooled.get();
  await last.body?.cancel();
  assertEquals(counters(last), UNUSED);
});
