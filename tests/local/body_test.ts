import { assert, assertEquals } from "@std/assert";
import { drain, parseObject, readText } from "../../local/body.ts";
import { findUser } from "../../local/auth/users.ts";
import { contentOf } from "../../local/storage/upload.ts";

/** Returns a request whose body consists of `parts`, and then ends, or stalls. */
function request(parts: readonly Uint8Array<ArrayBuffer>[], { stalls = false, type = "text/plain" } = {}) {
  const waiting = [...parts];
  const state = { read: 0, ended: false };
  const body = new ReadableStream<Uint8Array<ArrayBuffer>>({
    async pull(controller) {
      const part = waiting.shift();
      if (part) {
        state.read++;
        controller.enqueue(part);
      } else if (!stalls) {
        state.ended = true;
        controller.close();
      } else await new Promise(() => {});
    },
    cancel: () => void (state.ended = true),
  });
  return { state, request: new Request("http://x", { method: "POST", body, headers: { "content-type": type } }) };
}

const bytes = (text: string) => new TextEncoder().encode(text);

Deno.test("readText() reads a body up to a size, and cancels a larger one", async () => {
  assertEquals(await readText(request([bytes("a"), bytes("\u00e9")]).request, 3), "a\u00e9");
  assertEquals(await readText(new Request("http://x"), 3), "");
  const large = request([bytes("ab"), bytes("cd"), bytes("ef")], { stalls: true });
  assertEquals(await readText(large.request, 3), undefined);
  assert(large.state.ended);
});

Deno.test("parseObject() accepts objects and an empty text only", () => {
  assertEquals(parseObject('{"a":1}'), { a: 1 });
  assertEquals(parseObject(" \n"), {});
  for (const text of ["[]", "null", "1", '"a"', "{", "{a:1}"]) assertEquals(parseObject(text), undefined, text);
});

Deno.test("drain() reads the rest of a body, and stops for one that stalls", async () => {
  const whole = request([bytes("a"), bytes("b")]);
  await drain(whole.request);
  assertEquals(whole.state, { read: 2, ended: true });
  const stalled = request([bytes("a")], { stalls: true });
  await drain(stalled.request, 20);
  assertEquals(stalled.state, { read: 1, ended: true });
});

Deno.test("contentOf() discards the rest of a form that is rejected", async () => {
  const head = '--B\r\ncontent-disposition: form-data; name=""; filename="a"\r\ncontent-type: text/plain\r\n\r\n';
  const type = "multipart/form-data; boundary=B";
  const rest = Array.from({ length: 50 }, () => new Uint8Array(65_536));
  const rejected = request([bytes(head), ...rest, bytes("\r\n--B--\r\n")], { type });
  const content = await contentOf(rejected.request, 10);
  assert(!rejected.state.ended);
  await content.discard?.();
  assertEquals(rejected.state, { read: 52, ended: true });
});

Deno.test("findUser() writes the times of a user with Z, and leaves texts of its metadata as they are", async () => {
  const time = "2026-01-02T03:04:05.6+00:00";
  const id = "00000000-0000-4000-8000-000000000001";
  const row = {
    id,
    created_at: time,
    raw_user_meta_data: { joined_at: time, deep: { until: time } },
    identities: [{ created_at: time, identity_data: { since: time } }],
    factors: [{ updated_at: time }],
  };
  const sql = { query: () => Promise.resolve({ rows: [{ json: JSON.stringify(row) }] }) };
  const z = "2026-01-02T03:04:05.6Z";
  // deno-lint-ignore no-explicit-any
  assertEquals<unknown>(await findUser(sql as any, id), {
    ...row,
    created_at: z,
    identities: [{ created_at: z, identity_data: { since: time } }],
    factors: [{ updated_at: z }],
  });
});
