/** Tests rejections that no code handles, in isolates of their own: the runtime ends an isolate for one. */
import { assertEquals } from "@std/assert";
import { delay } from "@std/async";
import { type DenoProcess, startDeno } from "../support/deno_process.ts";

const start = (env: Record<string, string> = {}) => startDeno(new URL("./isolates/rejecting.ts", import.meta.url), env);

async function send(address: string, path: string): Promise<string> {
  try {
    return await (await fetch(address + path)).text();
  } catch {
    return "connection lost";
  }
}

async function addressOf(isolate: DenoProcess): Promise<string> {
  return `http://127.0.0.1:${await isolate.line()}`;
}

Deno.test("withPooledSupabase() contains an unhandled rejection of one request: others in flight are answered", async () => {
  await using isolate = start();
  const address = await addressOf(isolate);
  const slow = Array.from({ length: 5 }, () => send(address, "/slow"));
  await delay(100);
  assertEquals(await send(address, "/reject"), "answered");
  assertEquals(await isolate.line(), "unhandled_rejection");
  assertEquals(await Promise.all(slow), Array.from({ length: 5 }, () => "answered"));
});

Deno.test("withPooledSupabase() contains the rejection of a lease in a timer after its request", async () => {
  await using isolate = start();
  const address = await addressOf(isolate);
  assertEquals(await send(address, "/later"), "answered");
  assertEquals([await isolate.line(), await isolate.line()].sort(), ["call_refused", "unhandled_rejection"]);
  assertEquals(await send(address, "/slow"), "answered");
});

Deno.test("withPooledSupabase() leaves rejections to the runtime: with containRejections false, and outside of requests", async (t) => {
  for (const [name, env, path] of [["option", { CONTAIN: "false" }, "/reject"], ["outside", {}, "/outside"]] as const) {
    await t.step(name, async () => {
      await using isolate = start(env);
      const address = await addressOf(isolate);
      assertEquals(await send(address, "/f"), "answered");
      await send(address, path);
      assertEquals(await isolate.code, 1);
    });
  }
});
