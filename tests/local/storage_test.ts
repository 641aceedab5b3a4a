import { assert, assertEquals, assertStringIncludes } from "@std/assert";
import { createClient, type SupabaseClient } from "@supabase/supabase-js";
import { type Stack, startStack } from "../../local/mod.ts";
import { createProject, eventually } from "./fixture.ts";

const CONFIG = `
[storage]
file_size_limit = "3MiB"
[storage.buckets.avatars]
public = true
file_size_limit = "1KiB"
allowed_mime_types = ["image/*"]
`;

const POLICIES = `
insert into storage.buckets (id, name) values ('docs', 'docs'), ('drop', 'drop');
create policy "Drop" on storage.objects for insert to anon with check (bucket_id = 'drop');
create policy "Read own" on storage.objects for select to authenticated
  using (bucket_id = 'docs' and (storage.foldername(name))[1] = (select auth.uid())::text);
create policy "Create own" on storage.objects for insert to authenticated
  with check (bucket_id = 'docs' and (storage.foldername(name))[1] = (select auth.uid())::text
    and owner_id = (select auth.uid())::text);
create policy "Change own" on storage.objects for update to authenticated
  using (bucket_id = 'docs' and owner_id = (select auth.uid())::text);
create policy "Delete own" on storage.objects for delete to authenticated
  using (bucket_id = 'docs' and owner_id = (select auth.uid())::text and storage.operation() = 'storage.object.delete_many');
`;

const NO_SESSION = { auth: { persistSession: false, autoRefreshToken: false } } as const;

async function withStack(use: (stack: Stack, output: string[]) => Promise<void>): Promise<void> {
  await using project = await createProject();
  await project.write("supabase/config.toml", CONFIG);
  await project.write("supabase/migrations/20260103000000_policies.sql", POLICIES);
  const output: string[] = [];
  await using stack = await startStack({
    root: project.root,
    ephemeral: true,
    log: (source, line) => output.push(`[${source}] ${line}`),
  });
  await use(stack, output);
}

async function signUp(stack: Stack, name: string): Promise<{ client: SupabaseClient; id: string; token: string }> {
  const client = createClient(stack.url, stack.publishableKey, NO_SESSION);
  const { data } = await client.auth.signUp({ email: `${name}@example.com`, password: "correct-horse-battery" });
  assert(data.session);
  return { client, id: data.session.user.id, token: data.session.access_token };
}

interface Failure {
  readonly message: string;
  readonly statusCode?: string | undefined;
  readonly code?: string | undefined;
}

/** Returns what the error of a client says. */
function codeOf({ error }: { error: unknown }): string | null {
  const { statusCode, code } = (error ?? {}) as Failure;
  return error === null ? null : `${statusCode} ${code}`;
}

Deno.test("Storage serves storage-js as storage-api does", async (t) => {
  await withStack(async (stack, output) => {
    const service = createClient(stack.url, stack.secretKey, NO_SESSION).storage;
    const anonymous = createClient(stack.url, stack.publishableKey, NO_SESSION).storage;
    const docs = service.from("docs");
    const base = `${stack.url}/storage/v1`;
    const asService = { apikey: stack.secretKey };

    await t.step("buckets are created, changed, emptied and deleted", async () => {
      assertEquals((await service.getBucket("avatars")).data?.file_size_limit, 1_024);
      assertEquals((await service.listBuckets()).data?.map(({ name }) => name), ["avatars", "docs", "drop"]);
      assertEquals((await service.createBucket("media", { public: true, fileSizeLimit: "2MB" })).error, null);
      assertEquals(codeOf(await service.createBucket("media")), "409 BucketAlreadyExists");
      assertEquals(codeOf(await service.createBucket("a/b")), "400 InvalidBucketName");
      for (const fileSizeLimit of ["much", `${"9".repeat(400)}gb`, "99999999999gb"]) {
        const { error } = await service.createBucket("x", { public: true, fileSizeLimit });
        assertStringIncludes(error?.message ?? "", "Invalid file size format");
      }
      await service.updateBucket("media", { public: false, allowedMimeTypes: ["text/plain"] });
      const { data } = await service.getBucket("media");
      assertEquals([data?.public, data?.file_size_limit, data?.allowed_mime_types], [false, 2_000_000, ["text/plain"]]);
      await service.from("media").upload("a", "x", { contentType: "text/plain" });
      assertEquals(codeOf(await service.deleteBucket("media")), "409 ResourceNotEmpty");
      assertEquals((await service.emptyBucket("media")).error, null);
      assertEquals((await service.deleteBucket("media")).error, null);
      assertEquals(codeOf(await service.getBucket("media")), "404 NoSuchBucket");
      assertEquals((await anonymous.listBuckets()).data, []);
      assertEquals(codeOf(await anonymous.createBucket("mine")), "403 AccessDenied");
    });

    await t.step("raw bodies and forms are stored with their metadata", async () => {
      await docs.upload("raw/\u00f6".replace("\u00f6", "o.txt"), "raw", {
        contentType: "text/plain",
        cacheControl: "60",
        metadata: { n: 1 },
      });
      await docs.upload("form/f.txt", new Blob(["form"], { type: "text/plain" }), {
        cacheControl: "60",
        metadata: { n: 2 },
      });
      for (const [name, text, n] of [["raw/o.txt", "raw", 1], ["form/f.txt", "form", 2]] as const) {
        assertEquals(await (await docs.download(name)).data?.text(), text);
        const { data } = await docs.info(name);
        assertEquals([data?.size, data?.contentType, data?.cacheControl, data?.metadata], [
          text.length,
          "text/plain",
          "max-age=60",
          { n },
        ]);
      }
      assertEquals(codeOf(await docs.upload("raw/o.txt", "again")), "409 KeyAlreadyExists");
      assertEquals((await docs.upload("raw/o.txt", "again", { upsert: true })).error, null);
      assertEquals((await docs.update("raw/o.txt", "updated")).error, null);
      assertEquals(await (await docs.download("raw/o.txt")).data?.text(), "updated");
      assertEquals((await docs.exists("raw/o.txt")).data, true);
      assertEquals((await docs.exists("raw/none")).data, false);
      assertEquals(codeOf(await docs.download("raw/none")), "404 NoSuchKey");
      assertEquals(codeOf(await service.from("none").upload("a", "x")), "404 NoSuchBucket");
    });

    await t.step("downloads support ranges, tags and names", async () => {
      const bytes = Uint8Array.from({ length: 200_000 }, (_, n) => n % 251);
      await docs.upload("big.bin", bytes);
      const get = (headers: Record<string, string>, query = "") =>
        fetch(`${base}/object/docs/big.bin${query}`, { headers: { ...asService, ...headers } });
      const whole = await get({});
      assertEquals([whole.headers.get("content-length"), whole.headers.get("accept-ranges")], ["200000", "bytes"]);
      assertEquals(new Uint8Array(await whole.arrayBuffer()), bytes);
      const etag = whole.headers.get("etag") ?? "";
      const part = await get({ range: "bytes=100000-100099" });
      assertEquals([part.status, part.headers.get("content-range")], [206, "bytes 100000-100099/200000"]);
      assertEquals(new Uint8Array(await part.arrayBuffer()), bytes.slice(100_000, 100_100));
      const beyond = await get({ range: "bytes=200000-" });
      assertEquals([beyond.status, (await beyond.json()).code], [416, "InvalidRange"]);
      for (
        const [headers, status] of [[{ "if-none-match": etag }, 304], [
          { range: "bytes=0-1", "if-range": '"x"' },
          200,
        ]] as const
      ) {
        const response = await get(headers);
        await response.body?.cancel();
        assertEquals(response.status, status);
      }
      const named = await get({}, "?download=r%C3%A9sum%C3%A9%0d%0aset-cookie:a.pdf");
      await named.body?.cancel();
      assertEquals(named.headers.get("set-cookie"), null);
      assertStringIncludes(named.headers.get("content-disposition") ?? "", "filename*=UTF-8''r%C3%A9sum%C3%A9%0D%0A");
      const head = await fetch(`${base}/object/docs/big.bin`, { method: "HEAD", headers: asService });
      assertEquals([head.status, head.headers.get("content-length")], [200, "200000"]);
      await docs.upload("empty", new Uint8Array());
      assertEquals((await docs.download("empty")).data?.size, 0);
    });

    await t.step("lists have folders, orders and pages", async () => {
      const names = ["l/a.txt", "l/b.txt", "l/sub/c.txt", "l/sub/d.txt", "l/\u{5a}.txt"];
      for (const name of names) await docs.upload(name, name);
      const { data } = await docs.list("l", { sortBy: { column: "name", order: "asc" } });
      assertEquals(data?.map(({ name, id }) => [name, id === null]).sort(), [["Z.txt", false], ["a.txt", false], [
        "b.txt",
        false,
      ], ["sub", true]]);
      assertEquals((await docs.list("l", { search: "b" })).data?.map(({ name }) => name), ["b.txt"]);
      assertEquals((await docs.list("l/sub", { limit: 1, offset: 1 })).data?.map(({ name }) => name), ["d.txt"]);
      assertEquals((await docs.list("none")).data, []);
      const found: string[] = [];
      for (let cursor: string | undefined, page = 0; page < 10; page++) {
        const { data: result } = await docs.listV2({
          prefix: "l/",
          limit: 2,
          with_delimiter: true,
          ...(cursor ? { cursor } : {}),
        });
        found.push(...result?.folders.map(({ name }) => name) ?? [], ...result?.objects.map(({ name }) => name) ?? []);
        cursor = result?.nextCursor;
        if (!result?.hasNext) break;
      }
      assertEquals(found.sort(), ["l/Z.txt", "l/a.txt", "l/b.txt", "l/sub/"]);
      const newest = await docs.listV2({ prefix: "l/", sortBy: { column: "created_at", order: "desc" } });
      assertEquals(newest.data?.objects[0]?.name, "l/Z.txt");
    });

    await t.step("objects are moved, copied and removed", async () => {
      await docs.upload("m/a", "content", { contentType: "text/css" });
      assertEquals((await docs.move("m/a", "m/b")).data?.message, "Successfully moved");
      assertEquals(codeOf(await docs.move("m/a", "m/c")), "404 NoSuchKey");
      assertEquals((await docs.copy("m/b", "m/c")).data?.path, "docs/m/c");
      assertEquals(codeOf(await docs.copy("m/b", "m/c")), "409 KeyAlreadyExists");
      assertEquals(codeOf(await docs.move("m/b", "m/c")), "409 KeyAlreadyExists");
      assertEquals((await docs.info("m/c")).data?.contentType, "text/css");
      assertEquals((await docs.remove(["m/b", "m/none"])).data?.map(({ name }) => name), ["m/b"]);
      assertEquals(await (await docs.download("m/c")).data?.text(), "content");
      assertEquals(codeOf(await docs.move("m/c", "m/\u{1F600}")), "400 InvalidKey");
    });

    await t.step("signed URLs allow one object and one action", async () => {
      await docs.upload("s/a b&c.txt", "signed");
      const { data } = await docs.createSignedUrl("s/a b&c.txt", 60, { download: true });
      const response = await fetch(data?.signedUrl ?? "");
      assertEquals([response.status, await response.text()], [200, "signed"]);
      assertEquals(response.headers.get("content-disposition"), "attachment;");
      const other = await fetch((data?.signedUrl ?? "").replace("a%20b&c", "other"));
      assertEquals([other.status, (await other.json()).code], [400, "InvalidSignature"]);
      const many = await docs.createSignedUrls(["s/a b&c.txt", "s/none"], 60);
      assertEquals(many.data?.map(({ error }) => error === null), [true, false]);
      assertEquals(codeOf(await anonymous.from("docs").createSignedUrl("s/a b&c.txt", 60)), "404 NoSuchKey");
      const upload = await docs.createSignedUploadUrl("s/up.txt");
      const put = () => anonymous.from("docs").uploadToSignedUrl("s/up.txt", upload.data?.token ?? "", "body");
      assertEquals((await put()).error, null);
      assertEquals(codeOf(await put()), "409 KeyAlreadyExists");
      assertEquals(
        codeOf(await anonymous.from("docs").uploadToSignedUrl("s/b", upload.data?.token ?? "", "x")),
        "400 InvalidSignature",
      );
      const asCaller = await fetch(`${base}/object/docs/s/up.txt`, {
        headers: { authorization: `Bearer ${upload.data?.token}` },
      });
      await asCaller.body?.cancel();
      assertEquals(asCaller.status, 400);
    });

    await t.step("public buckets need no credentials, and show no page", async () => {
      const avatars = service.from("avatars");
      await avatars.upload("a.svg", "<svg/>", { contentType: "image/svg+xml" });
      const response = await fetch(avatars.getPublicUrl("a.svg").data.publicUrl);
      assertEquals([response.status, await response.text()], [200, "<svg/>"]);
      assertEquals(response.headers.get("content-security-policy"), "sandbox");
      for (const path of ["object/public/docs/big.bin", "object/docs/big.bin", "object/info/public/docs/big.bin"]) {
        const denied = await fetch(`${base}/${path}`);
        assertEquals([denied.status, (await denied.json()).code], [400, "NoSuchBucket"], path);
      }
      assertEquals(codeOf(await avatars.upload("a.txt", "x", { contentType: "text/plain" })), "415 InvalidMimeType");
    });

    await t.step("policies decide for the caller", async () => {
      const [ann, ben] = [await signUp(stack, "ann"), await signUp(stack, "ben")];
      const [own, foreign] = [ann.client.storage.from("docs"), ben.client.storage.from("docs")];
      const name = `${ann.id}/a.txt`;
      assertEquals((await own.upload(name, "ann's")).error, null);
      assertEquals((await own.upload(name, "ann's 2", { upsert: true })).error, null);
      assertEquals(codeOf(await foreign.upload(`${ann.id}/b.txt`, "ben's")), "403 AccessDenied");
      assertEquals(codeOf(await foreign.upload(name, "ben's", { upsert: true })), "403 AccessDenied");
      assertEquals(codeOf(await foreign.download(name)), "404 NoSuchKey");
      assertEquals((await foreign.list(ann.id)).data, []);
      assertEquals((await foreign.remove([name])).data, []);
      assertEquals(codeOf(await foreign.move(name, `${ben.id}/a.txt`)), "404 NoSuchKey");
      assertEquals(codeOf(await foreign.copy(name, `${ben.id}/a.txt`)), "404 NoSuchKey");
      assertEquals((await own.copy(name, `${ann.id}/c.txt`)).error, null);
      assertEquals((await own.list(ann.id)).data?.map((file) => file.name), ["a.txt", "c.txt"]);
      assertEquals(await (await own.download(name)).data?.text(), "ann's 2");
      // An upload needs no right to read.
      const drop = anonymous.from("drop");
      assertEquals((await drop.upload("a", "x")).error, null);
      assertEquals(codeOf(await drop.upload("a", "x")), "409 KeyAlreadyExists");
      assertEquals(codeOf(await drop.upload("b", "x", { upsert: true })), "403 AccessDenied");
      assertEquals(codeOf(await drop.download("a")), "404 NoSuchKey");
      // The policy allows the deletion of a list only.
      const single = await fetch(`${base}/object/docs/${ann.id}/c.txt`, {
        method: "DELETE",
        headers: { authorization: `Bearer ${ann.token}`, apikey: stack.publishableKey },
      });
      assertEquals((await single.json()).code, "AccessDenied");
      assertEquals((await own.remove([name])).data?.length, 1);
      assertEquals((await own.exists(name)).data, false);
    });

    await t.step("uploads over the limit are rejected, whatever their form and length", async () => {
      const megabytes = (count: number) => {
        let left = count;
        return new ReadableStream<Uint8Array>({
          pull(controller) {
            if (left-- > 0) controller.enqueue(new Uint8Array(1_048_576));
            else controller.close();
          },
        });
      };
      const post = async (body: BodyInit, name: string) => {
        const response = await fetch(`${base}/object/docs/${name}`, { method: "POST", headers: asService, body });
        return [response.status, (await response.json()).code];
      };
      assertEquals(await post(megabytes(3), "limit/fits"), [200, undefined]);
      assertEquals(await post(megabytes(4), "limit/streamed"), [400, "EntityTooLarge"]);
      assertEquals(await post(new Uint8Array(4_000_000), "limit/known"), [400, "EntityTooLarge"]);
      const form = new FormData();
      form.append("", new Blob([new Uint8Array(4_000_000)]));
      assertEquals(await post(form, "limit/form"), [400, "EntityTooLarge"]);
      assertEquals(await post(new FormData(), "limit/none"), [400, "InvalidRequest"]);
      assertEquals(
        codeOf(await service.from("avatars").upload("b.png", new Uint8Array(2_000), { contentType: "image/png" })),
        "413 EntityTooLarge",
      );
      assertEquals((await docs.list("limit")).data?.map(({ name }) => name), ["fits"]);
    });

    await t.step("an upload that breaks off leaves nothing", async () => {
      const { hostname, port } = new URL(stack.url);
      for (const type of ["text/plain", "multipart/form-data; boundary=x"]) {
        const connection = await Deno.connect({ hostname, port: Number(port) });
        const start = type.startsWith("text")
          ? "half of it"
          : '--x\r\nContent-Disposition: form-data; name=""; filename="a"\r\n\r\nhalf of it';
        await connection.write(new TextEncoder().encode(
          `POST /storage/v1/object/docs/half/a HTTP/1.1\r\nHost: ${hostname}:${port}\r\napikey: ${stack.secretKey}\r\n` +
            `Content-Type: ${type}\r\nContent-Length: 100000\r\n\r\n${start}`,
        ));
        await new Promise((resolve) => setTimeout(resolve, 300));
        connection.close();
      }
      await eventually(async () => (await docs.list("half")).data?.length === 0, "the folder is empty");
      assertEquals(output.filter((line) => /BadResource|interrupted|AbortError|request body/.test(line)), []);
    });

    await t.step("concurrent upserts leave one whole object", async () => {
      const contents = Array.from({ length: 12 }, (_, n) => String(n).repeat(20_000));
      const results = await Promise.all(contents.map((text) => docs.upload("race", text, { upsert: true })));
      assertEquals(results.filter(({ error }) => error !== null), []);
      assert(contents.includes(await (await docs.download("race")).data?.text() ?? ""));
      const creations = await Promise.all(contents.map((text) => docs.upload("race2", text)));
      assertEquals(creations.filter(({ error }) => error === null).length, 1);
    });

    await t.step("paths cannot leave their bucket", async () => {
      for (
        const path of [
          "object/docs/%2e%2e/%2e%2e/etc/passwd",
          "object/docs/..%2f..%2fetc%2fpasswd",
          "object/docs/a%00b",
          "object/docs/%ff",
          "object/docs/",
        ]
      ) {
        const response = await fetch(`${base}/${path}`, { headers: asService });
        const body = await response.text();
        assert(response.status === 400 || response.status === 404, `${path}: ${response.status}`);
        assert(!body.includes("root:"), path);
      }
    });

    await t.step("a text that Postgres cannot store is an error of the request", async () => {
      for (
        const [method, path, body, headers] of [
          ["GET", "bucket/a%00b", undefined, {}],
          ["POST", "object/list/docs", { prefix: "a\0" }, {}],
          ["POST", "object/list/docs", { prefix: "", search: "\ud800" }, {}],
          ["POST", "object/list-v2/docs", { prefix: "a\0" }, {}],
          ["POST", "object/move", { bucketId: "\0", sourceKey: "a", destinationKey: "b" }, {}],
          ["DELETE", "object/docs", { prefixes: ["a\0"] }, {}],
          ["POST", "object/docs/nul.txt", "x", { "x-metadata": btoa('{"a": "\\u0000"}') }],
        ] as const
      ) {
        const response = await fetch(`${base}/${path}`, {
          method,
          headers: { ...asService, "content-type": "application/json", ...headers },
          ...(body === undefined ? {} : { body: JSON.stringify(body) }),
        });
        const { code } = await response.json();
        assertEquals([response.status, code], [400, "InvalidRequest"], `${method} ${path}`);
      }
    });

    await t.step("features that are not part of it say so by name", async () => {
      assertEquals(
        (await docs.download("big.bin", { transform: { width: 10 } })).error?.message,
        "Image transformations are not part of the local stack. Use a hosted project instead.",
      );
      const resumable = await fetch(`${base}/upload/resumable`, { method: "POST", headers: asService });
      assertEquals([resumable.status, (await resumable.json()).code], [501, "NotSupported"]);
      const realtime = await fetch(`${stack.url}/realtime/v1/api/broadcast`, { method: "POST" });
      assertEquals([realtime.status, (await realtime.json()).code], [501, "NOT_LOCAL"]);
      const expired = await fetch(`${base}/bucket`, { headers: { authorization: "Bearer a.b.c" } });
      assertEquals([expired.status, (await expired.json()).error], [400, "Unauthorized"]);
      const none = await fetch(`${base}/bucket`);
      assertEquals([none.status, (await none.json()).message], [
        400,
        "headers must have required property 'authorization'",
      ]);
    });

    await t.step("no line of output holds a key or a content", () => {
      for (const secret of [stack.secretKey, stack.jwtSecret, "ann's"]) {
        assert(!output.some((line) => line.includes(secret)), output.find((line) => line.includes(secret)));
      }
    });
  });
});
