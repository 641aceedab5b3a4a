import { assert, assertEquals, assertRejects, assertStrictEquals } from "@std/assert";
import { trackText } from "../../shared/supabase/calls/tracked_body.ts";
import { watcher } from "./body_watcher.ts";

const ORIGIN = { url: "http://project.test/x", redirected: true };

/** Returns a body that fails after its first chunk. */
function brokenOff(error: Error): ReadableStream<Uint8Array<ArrayBuffer>> {
  const chunks = [new TextEncoder().encode("a")];
  return new ReadableStream({
    pull(controller) {
      const chunk = chunks.shift();
      if (chunk) controller.enqueue(chunk);
      else controller.error(error);
    },
  }, { highWaterMark: 0 });
}

Deno.test("trackText() notifies when the text is being read and has been read", async () => {
  const { events, watching } = watcher();
  const response = trackText(new Response("rows"), "GET", { ...ORIGIN, redirected: false }, watching);
  assertEquals(events, []);
  const text = response.text();
  assertEquals(events, ["reading"]);
  assertEquals([await text, events], ["rows", ["reading", "settled"]]);
  await assertRejects(() => response.text(), TypeError);
});

Deno.test("trackText() returns a response with the members of the received one", async () => {
  const came = new Response("rows", { status: 206, statusText: "Part", headers: { "content-range": "0-1/2" } });
  const response = trackText(came, "GET", { ...ORIGIN, redirected: false }, watcher().watching);
  assert(response instanceof Response);
  for (const name of ["ok", "status", "statusText", "headers", "type", "url", "redirected", "body"] as const) {
    assertStrictEquals(response[name], came[name], name);
  }
  assertEquals(response.bodyUsed, false);
  await assertRejects(() => response.clone().json(), SyntaxError);
  assertEquals(await new Response(response.body, response).text(), "rows");
  assertEquals(response.bodyUsed, true);
});

Deno.test("trackText() rejects text() if the body fails or the call is aborted", async () => {
  const origin = { ...ORIGIN, redirected: false };
  const broken = watcher();
  const response = trackText(new Response(brokenOff(new Error("gone"))), "GET", origin, broken.watching);
  await assertRejects(() => response.text(), Error, "gone");
  assertEquals(broken.events, ["reading", "failed: gone"]);
  for (const early of [true, false]) {
    const { controller, watching } = watcher();
    const endless = trackText(new Response(new ReadableStream()), "GET", origin, watching);
    if (early) controller.abort(new Error("cut"));
    const text = endless.text();
    controller.abort(new Error("cut"));
    await assertRejects(() => text, Error, "cut");
  }
});

Deno.test("trackText() treats a null body, a redirect and an invalid status as trackBody() does", () => {
  const origin = { ...ORIGIN, redirected: false };
  for (const [body, method] of [[null, "GET"], ["", "HEAD"]] as const) {
    const { events, watching } = watcher();
    trackText(new Response(body, body === null ? { status: 204 } : {}), method, origin, watching);
    assertEquals(events, ["settled"]);
  }
  assertEquals(trackText(new Response("x"), "GET", ORIGIN, watcher().watching).url, ORIGIN.url);
  const odd = Object.defineProperty(new Response("x"), "status", { value: 700 });
  assertEquals(trackText(odd, "GET", origin, watcher().watching).status, 500);
});
