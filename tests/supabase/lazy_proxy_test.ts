import { assertEquals, assertRejects, assertStrictEquals } from "@std/assert";
import { lazyProxy } from "../../shared/supabase/view/lazy_proxy.ts";

const call = (settle: () => void) => ({ send: <T>(send: () => T) => send(), settle });
const ignoreCalls = () => call(() => {});

class Mail {
  readonly #sender = "me";

  send(to: string): Promise<string> {
    return Promise.resolve(`${this.#sender} to ${to}`);
  }
}

class Api {
  readonly #name = "api";
  readonly mail = new Mail();

  name(suffix: string): Promise<string> {
    return Promise.resolve(this.#name + suffix);
  }

  fail(): Promise<never> {
    return Promise.reject(new RangeError("no"));
  }
}

Deno.test("lazyProxy() creates its object once, at the first of concurrent calls", async () => {
  let created = 0;
  const api = lazyProxy(() => (created++, Promise.resolve(new Api())), ignoreCalls);
  const { mail } = api;
  assertEquals(created, 0);
  assertEquals(await Promise.all([api.name("!"), api.name("?"), mail.send("you")]), ["api!", "api?", "me to you"]);
  assertEquals(created, 1);
});

Deno.test("lazyProxy() creates its object at the next call after a failure", async () => {
  let times = 0;
  const api = lazyProxy(
    () => times++ === 0 ? Promise.reject(new Error("not loaded")) : Promise.resolve(new Api()),
    ignoreCalls,
  );
  await assertRejects(() => api.name("!"), Error, "not loaded");
  assertEquals(await api.name("!"), "api!");
});

Deno.test("lazyProxy() passes on the rejection of a call, and names a missing function", async () => {
  const api = lazyProxy(() => Promise.resolve(new Api()), ignoreCalls);
  await assertRejects(() => api.fail(), RangeError, "no");
  // deno-lint-ignore no-explicit-any -- reaching where the types do not lead
  const any = api as any;
  await assertRejects(() => any.mail.receive(), TypeError, "mail.receive is not a function");
  await assertRejects(() => any.nothing.at.all(), TypeError, "nothing.at.all is not a function");
});

Deno.test("lazyProxy() creates nothing when it or a part of it is awaited", async () => {
  let created = 0;
  const api = lazyProxy(() => (created++, Promise.resolve(new Api())), ignoreCalls);
  assertStrictEquals(await api, api);
  await api.mail;
  assertEquals(created, 0);
});

Deno.test("lazyProxy() notifies of each call, and when it was forwarded or failed", async () => {
  const events: string[] = [];
  const { promise, resolve } = Promise.withResolvers<Api>();
  const api = lazyProxy(() => promise, () => {
    events.push("called");
    return call(() => events.push("forwarded"));
  });
  // deno-lint-ignore no-explicit-any -- reaching where the types do not lead
  const calls = [api.name("!"), (api as any).nothing()];
  assertEquals(events, ["called", "called"]);
  resolve(new Api());
  await assertRejects(() => calls[1] ?? Promise.resolve(), TypeError);
  await calls[0];
  assertEquals(events, ["called", "called", "forwarded", "forwarded"]);
});
