/** Tests the bodies that views send to functions. */
import { assertEquals, assertInstanceOf } from "@std/assert";
import { createRig } from "./support.ts";

const bytes = (...values: number[]) => new Uint8Array(values);
const text = (value: string) => new TextEncoder().encode(value);

const BODIES: Record<string, readonly [body: () => unknown, type: RegExp, sent: Uint8Array]> = {
  "a form": [
    () => new URLSearchParams({ a: "1 2", b: "ü" }),
    /^application\/x-www-form-urlencoded/,
    text("a=1+2&b=%C3%BC"),
  ],
  "a part of a buffer": [
    () => bytes(9, 1, 2, 9).subarray(1, 3),
    /^application\/octet-stream$/,
    bytes(1, 2),
  ],
  "a view of words": [() => new Uint16Array([258]), /^application\/octet-stream$/, bytes(2, 1)],
  "a DataView": [() => new DataView(bytes(7, 8).buffer), /^application\/octet-stream$/, bytes(7, 8)],
  "a stream": [
    () => new Blob(["one", "two"]).stream(),
    /^application\/octet-stream$/,
    text("onetwo"),
  ],
  "an object": [() => ({ n: 1 }), /^application\/json/, text('{"n":1}')],
  "a text": [() => "plain", /^text\/plain/, text("plain")],
  "a buffer": [() => bytes(1, 2, 3).buffer, /^application\/octet-stream$/, bytes(1, 2, 3)],
};

Deno.test("ClientLease.client.functions.invoke() sends each kind of body as it is", async (t) => {
  for (const [what, [body, type, expected]] of Object.entries(BODIES)) {
    await t.step(what, async () => {
      await using rig = createRig();
      const arrived: [string | null, Uint8Array][] = [];
      rig.project.answer = async (request) => {
        arrived.push([request.headers.get("content-type"), await request.bytes()]);
        return Response.json({});
      };
      await using lease = await rig.pool.lease();
      // deno-lint-ignore no-explicit-any -- the types of functions-js allow fewer bodies
      const { error } = await lease.client.functions.invoke("f", { body: body() as any });
      assertEquals(error, null);
      const [[sentType, sent] = [null, bytes()]] = arrived;
      assertEquals([type.test(sentType ?? ""), sent], [true, expected]);
      // deno-lint-ignore no-explicit-any -- the types of functions-js allow fewer bodies
      await lease.client.functions.invoke("f", { body: body() as any, headers: { "content-TYPE": "x/own" } });
      assertEquals(arrived[1], ["x/own", expected]);
    });
  }
});

Deno.test("ClientLease.client.functions.invoke() returns the error of a stream that breaks, and sends nothing", async () => {
  await using rig = createRig();
  await using lease = await rig.pool.lease();
  const broken = new Error("broken");
  const body = new ReadableStream({ pull: (controller) => controller.error(broken) });
  // deno-lint-ignore no-explicit-any -- the types of functions-js do not allow streams
  const { data, error } = await lease.client.functions.invoke("f", { body: body as any });
  assertEquals(data, null);
  assertInstanceOf(error, Error);
  assertEquals(rig.project.requests.length, 0);
});

Deno.test("ctx.supabase.functions.invoke() of a form is carried through though its scope closes meanwhile", async () => {
  await using rig = createRig();
  const scope = rig.pool.scope();
  // deno-lint-ignore no-explicit-any -- the types of functions-js do not allow forms
  const call = scope.client().functions.invoke("f", { body: new URLSearchParams("a=1") as any });
  await scope.close().drained;
  assertEquals([(await call).error, rig.project.requests.length], [null, 1]);
});
