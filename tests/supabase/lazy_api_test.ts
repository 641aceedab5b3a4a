import { assertEquals, assertRejects, assertStrictEquals } from "@std/assert";
import { lazyApi } from "../../shared/supabase/lazy_api.ts";

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
  const api = lazyApi(() => (made++, Promise.resolve(new Api())));
  const { mail } = api;
  assertEquals(made, 0);
  assertEquals(await Promise.all([api.name("!"), api.name("?"), mail.send("you")]), ["api!", "api?", "me to you"]);
  assertEquals(made, 1);
});

Deno.test("what could not be made is made at the next call", async () => {
  let times = 0;
  const api = lazyApi(() => times++ === 0 ? Promise.reject(new Error("not loaded")) : Promise.resolve(new Api()));
  await assertRejects(() => api.name("!"), Error, "not loaded");
  assertEquals(await api.name("!"), "api!");
});

Deno.test("what a call rejects with is passed on, and a function that is not there is named", async () => {
  const api = lazyApi(() => Promise.resolve(new Api()));
  await assertRejects(() => api.fail(), RangeError, "no");
  // deno-lint-ignore no-explicit-any -- reaching where the types do not lead
  const any = api as any;
  await assertRejects(() => any.mail.receive(), TypeError, "mail.receive is not a function");
  await assertRejects(() => any.nothing.at.all(), TypeError, "nothing.at.all is not a function");
});

Deno.test("to await it, or a part of it, makes nothing", async () => {
  let made = 0;
  const api = lazyApi(() => (made++, Promise.resolve(new Api())));
  assertStrictEquals(await api, api);
  await api.mail;
  assertEquals(made, 0);
});
