/** Tests work that is given to `EdgeRuntime.waitUntil` during a request, without `ctx`. */
import { assert, assertEquals, assertStringIncludes } from "@std/assert";
import { delay } from "@std/async";
import { memberOf } from "../../shared/resilience/mod.ts";
import type { PooledContext } from "../support/http.ts";
import { setUp } from "./real_rig.ts";
import { until } from "../support/until.ts";

const ONE = { POOL_MAX_CONNECTIONS: "1" };

interface Runtime {
  waitUntil(promise: Promise<unknown>): unknown;
}

/** The global `EdgeRuntime`, as code of a function finds it. */
const edge = (): Runtime => memberOf(globalThis, "EdgeRuntime") as Runtime;

/** Replaces the global `EdgeRuntime` until disposal. */
function install(descriptor: PropertyDescriptor): Disposable {
  Object.defineProperty(globalThis, "EdgeRuntime", { configurable: true, ...descriptor });
  return { [Symbol.dispose]: () => void Reflect.deleteProperty(globalThis, "EdgeRuntime") };
}

function recording(): { given: Promise<unknown>[]; runtime: Runtime } {
  const given: Promise<unknown>[] = [];
  return { given, runtime: { waitUntil: (promise) => (given.push(promise), promise) } };
}

/** A handler whose work goes on after its response, and the results of that. */
function working() {
  const results: string[] = [];
  const call = async ({ supabase }: PooledContext<unknown>) => {
    const { error } = await supabase.from("after").select();
    results.push(error?.message ?? "sent");
  };
  const handler = (_request: Request, context: PooledContext<unknown>) => {
    edge().waitUntil(delay(10).then(() => call(context)));
    return Promise.resolve(new Response("at once"));
  };
  return { results, handler, call };
}

const KINDS: Record<string, (runtime: Runtime) => PropertyDescriptor> = {
  "a plain object": (value) => ({ value, writable: true }),
  "the object of a getter, as hosted": (value) => ({ get: () => value }),
  "a frozen object": (value) => ({ value: Object.freeze(value) }),
  "a new object at each access": (value) => ({ get: () => ({ ...value }) }),
  "an object with a read-only method": (value) => ({
    get: () => Object.defineProperty({}, "waitUntil", { value: value.waitUntil }),
  }),
};

for (const [kind, describe] of Object.entries(KINDS)) {
  Deno.test(`EdgeRuntime.waitUntil() work joins its request where EdgeRuntime is ${kind}`, async () => {
    const { given, runtime } = recording();
    using _ = install(describe(runtime));
    const { results, handler } = working();
    await using rig = setUp(handler, ONE);
    for (let n = 0; n < 3; n++) assertEquals(await (await rig.fetch("/f")).text(), "at once");
    // Its slot is held during its call only.
    assertEquals(rig.service.getPoolStats().activeConnections, 0);
    assertEquals(given.length, 3);
    await Promise.all(given);
    assertEquals([results, rig.log], [["sent", "sent", "sent"], []]);
    assertEquals(rig.service.getPoolStats().activeConnections, 0);
  });
}

Deno.test("EdgeRuntime.waitUntil() gets the same promise and returns what it returned, also outside of a request", async () => {
  const { given, runtime } = recording();
  using _ = install({ value: runtime, writable: true });
  const promise = delay(1);
  await using rig = setUp(() => {
    assert(edge().waitUntil(promise) === promise);
    return new Response();
  });
  await rig.fetch("/f");
  const outside = Promise.resolve();
  assert(edge().waitUntil(outside) === outside);
  assertEquals(given, [promise, outside]);
  await promise;
});

Deno.test("EdgeRuntime.waitUntil() may be wrapped by others, before and after", async () => {
  const { given, runtime } = recording();
  using _ = install({ value: runtime, writable: true });
  const seen: string[] = [];
  const wrap = (name: string) => {
    const inner = runtime.waitUntil;
    runtime.waitUntil = (promise) => {
      seen.push(name);
      return inner(promise);
    };
  };
  wrap("before");
  const { results, handler } = working();
  await using rig = setUp(handler, ONE);
  await (await rig.fetch("/f")).text();
  wrap("after");
  await (await rig.fetch("/f")).text();
  await Promise.all(given);
  assertEquals([results, seen], [["sent", "sent"], ["before", "after", "before"]]);
});

Deno.test("EdgeRuntime.waitUntil() work joins the request that gave it, whichever created the promise", async () => {
  const { given, runtime } = recording();
  using _ = install({ value: runtime, writable: true });
  const go = Promise.withResolvers<void>();
  let promise: Promise<unknown> | undefined;
  const results: string[] = [];
  const clients: PooledContext<unknown>["supabase"][] = [];
  await using rig = setUp((request, context) => {
    clients.push(context.supabase);
    if (request.url.endsWith("/first")) {
      promise = go.promise.then(async () => {
        for (const client of clients) {
          results.push((await client.from("x").select()).error ? "refused" : "sent");
        }
      });
    } else edge().waitUntil(promise ?? Promise.resolve());
    return new Response();
  });
  await rig.fetch("/first");
  await rig.fetch("/second");
  go.resolve();
  await Promise.all(given);
  assertEquals(results, ["refused", "sent"]);
  assertEquals(rig.log.map((line) => JSON.parse(line).event), ["call_refused"]);
});

Deno.test("EdgeRuntime.waitUntil() work that rejects is logged, and its request ends", async () => {
  const { runtime } = recording();
  using _ = install({ value: runtime, writable: true });
  let kept: PooledContext<unknown> | undefined;
  await using rig = setUp((_request, context) => {
    kept = context;
    edge().waitUntil(Promise.reject(new Error("no mail server")));
    return new Response();
  });
  await rig.fetch("/f");
  await delay(1);
  assertEquals(rig.log.map((line) => JSON.parse(line).event), ["background_work_failed"]);
  assertStringIncludes((await kept?.supabase.from("x").select())?.error?.message ?? "", "LeaseReleasedError");
});

Deno.test("ctx.supabase is refused, and the log has the remedy, where the runtime does not let waitUntil be wrapped", async () => {
  const { runtime } = recording();
  // Not configurable: it stays until the end of this process, so that the test uses a name of its own.
  const { results, call } = working();
  await using rig = setUp((_request, context) => {
    runtime.waitUntil(delay(5).then(() => call(context)));
    return new Response();
  });
  await rig.fetch("/f");
  await until("the background call settles", () => results.length > 0);
  assertStringIncludes(results[0] ?? "", "LeaseReleasedError");
  assertStringIncludes(rig.log[0] ?? "", "EdgeRuntime.waitUntil");
  assertEquals(rig.log.length, 1);
});
