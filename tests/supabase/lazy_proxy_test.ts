import { assertEquals, assertRejects, assertStrictEquals } from "@std/assert";
import { lazyProxy } from "../../shared/supabase/view/lazy_proxy.ts";

const unheard = () => () => {};

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

Deno.test("it is made at the first call, once, whoever calls meanwhile", async () => {
  let made = 0;
  const api = lazyProxy(() => (made++, Promise.resolve(new Api())), unheard);
  const { mail } = api;
  assertEquals(made, 0);
  assertEquals(await Promise.all([api.name("!"), api.name("?"), mail.send("you")]), ["api!", "api?", "me to you"]);
  assertEquals(made, 1);
});

Deno.test("what could not be made is made at the next call", async () => {
  let times = 0;
  const api = lazyProxy(
    () => times++ === 0 ? Promise.reject(new Error("not loaded")) : Promise.resolve(new Api()),
    unheard,
  );
  await assertRejects(() => api.name("!"), Error, "not loaded");
  assertEquals(await api.name("!"), "api!");
});

Deno.test("what a call rejects with is passed on, and a function that is not there is named", async () => {
  const api = lazyProxy(() => Promise.resolve(new Api()), unheard);
  await assertRejects(() => api.fail(), RangeError, "no");
  // deno-lint-ignore no-explicit-any -- reaching where the types do not lead
  const any = api as any;
  await assertRejects(() => any.mail.receive(), TypeError, "mail.receive is not a function");
  await assertRejects(() => any.nothing.at.all(), TypeError, "nothing.at.all is not a function");
});

Deno.test("to await it, or a part of it, makes nothing", async () => {
  let made = 0;
  const api = lazyProxy(() => (made++, Promise.resolve(new Api())), unheard);
  assertStrictEquals(await api, api);
  await api.mail;
  assertEquals(made, 0);
});

Deno.test("who is told of calls hears of each, and when it has reached the object or failed to", async () => {
  const told: string[] = [];
  const { promise, resolve } = Promise.withResolvers<Api>();
  const api = lazyProxy(() => promise, () => (told.push("made"), () => told.push("handed on")));
  // deno-lint-ignore no-explicit-any -- reaching where the types do not lead
  const calls = [api.name("!"), (api as any).nothing()];
  assertEquals(told, ["made", "made"]);
  resolve(new Api());
  await assertRejects(() => calls[1] ?? Promise.resolve(), TypeError);
  await calls[0];
  assertEquals(told, ["made", "made", "handed on", "handed on"]);
});
