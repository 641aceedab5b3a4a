import { assert, assertEquals, assertRejects, assertStrictEquals, assertThrows } from "@std/assert";
import { type BodyWatcher, trackBody } from "../../shared/supabase/calls/tracked_body.ts";
import { watcher } from "./body_watcher.ts";

const ORIGIN = { url: "http://project.test/x", redirected: true };

function track(body: BodyInit | null, init?: ResponseInit, method = "GET") {
  const { events, controller, watching } = watcher();
  const response = trackBody(new Response(body, init), method, ORIGIN, watching);
  return { response, events, abort: (reason: unknown) => controller.abort(reason) };
}

/** Returns a stream of `chunks` that ends with the error, if there is one. */
function stream(chunks: Uint8Array<ArrayBuffer>[], error?: Error): ReadableStream<Uint8Array<ArrayBuffer>> {
  return new ReadableStream({
    pull(controller) {
      const chunk = chunks.shift();
      if (chunk) controller.enqueue(chunk);
      else if (error) controller.error(error);
      else controller.close();
    },
  }, { highWaterMark: 0 });
}

const bytes = (text: string) => new TextEncoder().encode(text);

async function collect(body: ReadableStream<Uint8Array<ArrayBuffer>> | null): Promise<string> {
  let text = "";
  for await (const chunk of body ?? []) text += new TextDecoder().decode(chunk);
  return text;
}

Deno.test("trackBody() keeps the status, the headers and the URL", () => {
  const headers = new Headers([["x-a", "1"], ["set-cookie", "a=1"], ["set-cookie", "b=2"]]);
  const { response } = track("x", { status: 418, statusText: "teapot", headers });
  assert(response instanceof Response);
  assertEquals([response.status, response.statusText, response.ok], [418, "teapot", false]);
  assertEquals(response.headers.getSetCookie(), ["a=1", "b=2"]);
  assertEquals([response.url, response.redirected, response.type], [ORIGIN.url, true, "default"]);
  const copy = response.clone().clone();
  assertEquals([copy.status, copy.url, copy.redirected, copy.headers.get("x-a")], [418, ORIGIN.url, true, "1"]);
});

Deno.test("trackBody() notifies of the start and the end of reading, in every way to read", async () => {
  const readers: [string, (response: Response) => Promise<unknown>, unknown][] = [
    ["text", (response) => response.text(), "[1]"],
    ["json", (response) => response.json(), [1]],
    ["bytes", (response) => response.bytes(), bytes("[1]")],
    ["arrayBuffer", async (response) => new Uint8Array(await response.arrayBuffer()), bytes("[1]")],
    ["blob", async (response) => (await response.blob()).type, "application/json"],
    ["body", (response) => collect(response.body), "[1]"],
  ];
  for (const [name, read, expected] of readers) {
    const { response, events } = track("[1]", { headers: { "content-type": "application/json" } });
    assertEquals(response.bodyUsed, false);
    assertEquals(await read(response).catch((error) => error), expected, name);
    assertEquals([name, response.bodyUsed, events], [name, true, ["reading", "settled"]]);
  }
  const form = track(new URLSearchParams({ a: "1" }));
  assertEquals((await form.response.formData()).get("a"), "1");
  assertEquals(form.events, ["reading", "settled"]);
});

Deno.test("trackBody() rejects a second read, as any response does", async () => {
  const afterReading = async (then: (response: Response) => void | Promise<void>) => {
    const { response } = track("hello");
    await response.text();
    await then(response);
  };
  await afterReading(async (response) => void await assertRejects(() => response.text(), TypeError));
  await afterReading(async (response) => void await assertRejects(() => response.json(), TypeError));
  await afterReading((response) => void assertThrows(() => response.clone(), TypeError));
  await afterReading((response) => assertEquals(response.body?.locked, true));
  const locked = track("hello").response;
  locked.body?.getReader();
  await assertRejects(() => locked.text(), TypeError);
});

Deno.test("trackBody() leaves a body readable after its reader has released the lock", async () => {
  const { response, events } = track("hello");
  assertStrictEquals(response.body, response.body);
  assertEquals(events, ["reading"]);
  response.body?.getReader().releaseLock();
  assertEquals(response.bodyUsed, false);
  assertEquals(await response.text(), "hello");
  assertEquals(events, ["reading", "settled"]);
});

Deno.test("trackBody() returns a response whose clones have the whole body, read in any order", async () => {
  for (const touched of [false, true]) {
    const first = track("hello");
    if (touched) assert(first.response.body);
    const copy = first.response.clone();
    assertEquals(await copy.text(), "hello");
    assertEquals(await collect(first.response.body), "hello");
    assertEquals(first.events, ["reading", "settled"]);
    const second = track("hello");
    const other = second.response.clone();
    assertEquals(await second.response.text(), "hello");
    assertEquals(await new Response(other.body).text(), "hello");
  }
});

Deno.test("trackBody() serves a BYOB reader and ends its last read", async () => {
  const { response, events } = track(stream([bytes("he"), bytes(""), bytes("llo")]));
  const reader = response.body?.getReader({ mode: "byob" });
  let text = "";
  for (let round = 0; round < 10; round++) {
    const chunk = await reader?.read(new Uint8Array(1));
    if (!chunk || chunk.done) break;
    text += new TextDecoder().decode(chunk.value);
  }
  assertEquals([text, events], ["hello", ["reading", "settled"]]);
});

Deno.test("trackBody() does not transfer a buffer that two chunks share", async () => {
  const shared = bytes("hello world");
  const { response } = track(stream([shared.subarray(0, 6), shared.subarray(6)]));
  assertEquals(await collect(response.body), "hello world");
  assertEquals(shared.byteLength, 11);
});

Deno.test("trackBody() settles a response without a body at once, and returns it unchanged", () => {
  for (
    const [status, method, body] of [[204, "GET", null], [304, "GET", null], [200, "HEAD", "x"], [
      200,
      "GET",
      null,
    ]] as const
  ) {
    const { events, watching } = watcher();
    const original = new Response(body, { status });
    assertStrictEquals(trackBody(original, method, ORIGIN, watching), original);
    assertEquals(events, ["settled"]);
  }
});

Deno.test("trackBody() replaces an invalid status by 500", () => {
  const original = new Response("x");
  Object.defineProperty(original, "status", { value: 799 });
  assertEquals(trackBody(original, "GET", ORIGIN, watcher().watching).status, 500);
});

Deno.test("trackBody() passes the error of a body to its reader and its watcher", async () => {
  for (const read of [(response: Response) => response.text(), (response: Response) => collect(response.body)]) {
    const { response, events } = track(stream([bytes("he")], new Error("reset")));
    await assertRejects(() => read(response), Error, "reset");
    assertEquals(events, ["reading", "failed: reset"]);
  }
});

Deno.test("trackBody() settles a canceled body and cancels its source", async () => {
  let reason: unknown;
  const source = () => new ReadableStream<Uint8Array<ArrayBuffer>>({ cancel: (why) => void (reason = why) });
  const { response, events } = track(source());
  await response.body?.cancel("enough");
  assertEquals([reason, events], ["enough", ["reading", "settled"]]);
  const begun = track(
    new ReadableStream({ start: (c) => c.enqueue(bytes("x")), cancel: (why) => void (reason = why) }),
  );
  const reader = begun.response.body?.getReader();
  await reader?.read();
  await reader?.cancel("more");
  assertEquals(reason, "more");
});

Deno.test("trackBody() rejects an aborted body with the reason, also if its source never ends", async () => {
  let cancelled = 0;
  const endless = () => new ReadableStream<Uint8Array<ArrayBuffer>>({ cancel: () => void cancelled++ });
  for (const read of [(response: Response) => response.text(), (response: Response) => collect(response.body)]) {
    const { response, abort } = track(endless());
    const reading = read(response);
    await Promise.resolve();
    abort(new Error("gone"));
    await assertRejects(() => reading, Error, "gone");
    const late = track(endless());
    late.abort(new Error("gone"));
    await assertRejects(() => read(late.response), Error, "gone");
  }
  assert(cancelled >= 3, `${cancelled} sources were canceled`);
});

Deno.test("trackBody() leaves no listener after the body was read", async () => {
  const { events, controller, watching } = watcher();
  let listeners = 0;
  const { signal } = controller;
  const add = signal.addEventListener.bind(signal);
  const remove = signal.removeEventListener.bind(signal);
  signal.addEventListener = (...args: Parameters<typeof add>) => (listeners++, add(...args));
  signal.removeEventListener = (...args: Parameters<typeof remove>) => (listeners--, remove(...args));
  const response = trackBody(new Response("x"), "GET", ORIGIN, watching);
  const before = listeners;
  await response.text();
  assertEquals([listeners, events], [before, ["reading", "settled"]]);
});

Deno.test("trackBody() settles a response that a server has sent", async () => {
  const settled = Promise.withResolvers<void>();
  const events: string[] = [];
  const watching: BodyWatcher = {
    signal: new AbortController().signal,
    markReading: () => events.push("reading"),
    onPull: () => {},
    onChunk: () => {},
    settle: () => settled.resolve(),
    fail: (error) => settled.reject(error),
    read: () => Promise.reject(new Error("not used")),
  };
  const server = Deno.serve(
    { hostname: "127.0.0.1", port: 0, onListen() {} },
    () => trackBody(new Response("x".repeat(200_000), { status: 201 }), "GET", ORIGIN, watching),
  );
  const answer = await fetch(`http://127.0.0.1:${server.addr.port}/`);
  assertEquals([answer.status, (await answer.text()).length], [201, 200_000]);
  await settled.promise;
  assertEquals(events, ["reading"]);
  await server.shutdown();
});
