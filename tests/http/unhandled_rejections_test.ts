/** Tests rejections that no code handles, in isolates of their own: the runtime ends an isolate for one. */
import { assertEquals } from "@std/assert";
import { restoresContext } from "../../shared/http/request/unhandled_rejections.ts";
import { denoArgs, type DenoProcess, startDeno } from "../support/deno_process.ts";
import { until } from "../support/until.ts";

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
  await until("all are under way", async () => await send(address, "/slow/count") === "5");
  assertEquals(await send(address, "/reject"), "answered");
  assertEquals(await isolate.line(), "unhandled_rejection");
  await send(address, "/slow/release");
  assertEquals(await Promise.all(slow), Array.from({ length: 5 }, () => "answered"));
});

Deno.test("withPooledSupabase() contains the rejection of a lease in a timer after its request", async () => {
  await using isolate = start();
  const address = await addressOf(isolate);
  assertEquals(await send(address, "/later"), "answered");
  assertEquals([await isolate.line(), await isolate.line()].sort(), ["call_refused", "unhandled_rejection"]);
  assertEquals(await send(address, "/f"), "answered");
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

Deno.test("withPooledSupabase() contains a rejection of other code while a request is under way only where the runtime cannot tell them apart", async () => {
  await using isolate = start();
  const address = await addressOf(isolate);
  const slow = send(address, "/slow");
  await until("it is under way", async () => await send(address, "/slow/count") === "1");
  await send(address, "/outside");
  if (restoresContext(Deno.version.deno)) {
    assertEquals(await slow, "connection lost");
    assertEquals(await isolate.code, 1);
  } else {
    assertEquals(await isolate.line(), "unhandled_rejection");
    await send(address, "/slow/release");
    assertEquals(await slow, "answered");
  }
});

Deno.test("restoresContext() takes a version that it cannot read for an older one", () => {
  const versions = ["2.8.0", "2.10.1", "3.0.0", "2.9.6+abc", "2.5.0", "2.1.4", "1.46.3", "", "x"];
  assertEquals(versions.map(restoresContext), [true, true, true, true, false, false, false, false, false]);
});

/** Runs `isolates/node_rejections.ts` and returns its lines. */
async function rejectOnNode(...args: string[]): Promise<string[]> {
  const { stdout } = await new Deno.Command(Deno.execPath(), {
    args: [
      "run",
      "-A",
      "--no-check",
      ...denoArgs(),
      new URL("./isolates/node_rejections.ts", import.meta.url).pathname,
      ...args,
    ],
    stdin: "null",
    stderr: "inherit",
  }).output();
  return new TextDecoder().decode(stdout).trimEnd().split("\n");
}

Deno.test("containRejections() listens once on Node, and ends the process for others only as the sole listener", async () => {
  const contained = ["contained of a request", "contained a late call"];
  assertEquals(await rejectOnNode(), ["1 listeners, events: false", ...contained, "thrown of no request"]);
  assertEquals(await rejectOnNode("own"), ["2 listeners, events: false", ...contained]);
});
