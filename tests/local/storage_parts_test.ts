import { assert, assertEquals, assertRejects, assertThrows } from "@std/assert";
import fc from "fast-check";
import { StorageError } from "../../local/storage/errors.ts";
import { Files } from "../../local/storage/files.ts";
import { checkBucketName, checkKey, checkMediaType } from "../../local/storage/names.ts";
import { isFresh, parseRange } from "../../local/storage/ranges.ts";
import { SignedUrls } from "../../local/storage/signed_urls.ts";

async function* chunks(...parts: Uint8Array[]): AsyncGenerator<Uint8Array> {
  for (const part of parts) yield await Promise.resolve(part);
}

async function inFolder(use: (files: Files, root: string) => Promise<void>): Promise<void> {
  const root = await Deno.makeTempDir({ prefix: "local-storage-test-" });
  try {
    await use(new Files(root), root);
  } finally {
    await Deno.remove(root, { recursive: true });
  }
}

async function names(folder: string): Promise<string[]> {
  const found: string[] = [];
  for await (const entry of Deno.readDir(folder)) {
    if (entry.isDirectory) found.push(...await names(`${folder}/${entry.name}`));
    else found.push(entry.name);
  }
  return found;
}

Deno.test("Files.write() and read() return every range of a content", async () => {
  await inFolder(async (files) => {
    await fc.assert(
      fc.asyncProperty(
        fc.uint8Array({ maxLength: 300_000, size: "max" }),
        fc.nat(300_000),
        fc.nat(300_000),
        async (content, one, other) => {
          const middle = Math.floor(content.length / 2);
          const written = await files.write(chunks(content.subarray(0, middle), content.subarray(middle)), 300_000);
          assertEquals(written.size, content.length);
          const [start, end] = [one, other].map((at) => Math.min(at, content.length)).sort((a, b) => a - b) as [
            number,
            number,
          ];
          const stream = await files.read(written.version, start, end);
          assertEquals(new Uint8Array(await new Response(stream).arrayBuffer()), content.slice(start, end));
        },
      ),
      { numRuns: 40 },
    );
  });
});

Deno.test("Files.write() leaves no file when a content is too large or breaks off", async () => {
  await inFolder(async (files, root) => {
    const part = new Uint8Array(1_000);
    await assertRejects(() => files.write(chunks(part, part), 1_999), StorageError, "maximum allowed size");
    const broken = async function* () {
      yield part;
      await Promise.resolve();
      throw new Error("The request was interrupted");
    };
    await assertRejects(() => files.write(broken(), 1_999), Error, "interrupted");
    assertEquals(await names(root), []);
    assertEquals((await files.write(chunks(part, part), 2_000)).size, 2_000);
    assertEquals((await names(root)).length, 1);
  });
});

Deno.test("Files removes the drafts of a process that was killed", async () => {
  await inFolder(async (files, root) => {
    await Deno.mkdir(`${root}/drafts`);
    await Deno.writeTextFile(`${root}/drafts/half`, "half");
    await files.write(chunks(), 0);
    assert(!(await names(root)).includes("half"));
  });
});

Deno.test("Files.read() opens no link, and no name that is not the id of a file", async () => {
  await inFolder(async (files, root) => {
    const { version } = await files.write(chunks(new TextEncoder().encode("x")), 10);
    const path = `${root}/objects/${version.slice(0, 2)}/${version}`;
    await Deno.writeTextFile(`${root}/outside`, "secret");
    await Deno.remove(path);
    await Deno.symlink(`${root}/outside`, path);
    assertEquals(await files.read(version, 0, 6), undefined);
    for (const name of ["", "..", "../outside", "objects", `${version}/../x`, "\0"]) {
      assertEquals(await files.read(name, 0, 1), undefined, name);
      await files.remove([name]);
    }
    assertEquals(await Deno.readTextFile(`${root}/outside`), "secret");
  });
});

Deno.test("parseRange() returns what lies in the file, for any header", () => {
  const header = fc.oneof(
    fc.string(),
    fc.tuple(fc.nat(60), fc.nat(60)).map(([a, b]) => `bytes=${a}-${b}`),
    fc.nat(60).map((a) => `bytes=${a}-`),
    fc.nat(60).map((a) => `bytes=-${a}`),
  );
  fc.assert(fc.property(header, fc.nat(40), (text, size) => {
    const range = parseRange(text, size);
    if (range === undefined || range === "unsatisfiable") return;
    assert(0 <= range.start && range.start < range.end && range.end <= size, `${text} of ${size}`);
  }));
  const cases: [string | null, number, ReturnType<typeof parseRange>][] = [
    [null, 10, undefined],
    ["bytes=0-0", 10, { start: 0, end: 1 }],
    ["bytes=2-", 10, { start: 2, end: 10 }],
    ["bytes=-3", 10, { start: 7, end: 10 }],
    ["bytes=-99", 10, { start: 0, end: 10 }],
    ["bytes=5-99", 10, { start: 5, end: 10 }],
    ["bytes=10-", 10, "unsatisfiable"],
    ["bytes=0-", 0, "unsatisfiable"],
    ["bytes=-0", 10, "unsatisfiable"],
    ["bytes=5-2", 10, undefined],
    ["bytes=0-1,4-5", 10, undefined],
    ["bytes=-", 10, undefined],
    ["items=0-1", 10, undefined],
    ["bytes=99999999999999999999-", 10, undefined],
  ];
  for (const [text, size, expected] of cases) assertEquals(parseRange(text, size), expected, String(text));
});

Deno.test("isFresh() compares tags before times", () => {
  const modified = new Date("2026-01-01T00:00:00.500Z");
  const fresh = (headers: Record<string, string>) => isFresh(new Headers(headers), '"a"', modified);
  assertEquals(fresh({}), false);
  assertEquals(fresh({ "if-none-match": '"b", W/"a"' }), true);
  assertEquals(fresh({ "if-none-match": "*" }), true);
  assertEquals(fresh({ "if-modified-since": modified.toUTCString() }), true);
  assertEquals(fresh({ "if-modified-since": new Date(0).toUTCString() }), false);
  assertEquals(fresh({ "if-none-match": '"b"', "if-modified-since": modified.toUTCString() }), false);
  assertEquals(fresh({ "if-modified-since": "soon" }), false);
});

Deno.test("checkKey() and checkBucketName() accept the characters of S3 only, and no segments of dots", () => {
  for (
    const name of [
      "a",
      "a/b.txt",
      "a//b",
      "...",
      "a..b/.c",
      "..a",
      "a./b",
      " ",
      "a b&c$@=;:+,?'()!*.pdf",
      "x".repeat(1024),
    ]
  ) checkKey(name);
  for (
    const name of ["", "\0", "a\nb", "caf\u00e9", "\u{1F600}", "a\\b", "a%b", "a#b", "[a]", "x".repeat(1025), null, 1]
      .concat([".", "..", "a/..", "a/../b", "./a", "a/./b", "../../a"])
  ) {
    assertThrows(() => checkKey(name), StorageError, "Invalid key");
  }
  for (const name of ["a", "my bucket", "x".repeat(100)]) checkBucketName(name);
  for (const name of ["", "a/b", " a", "x".repeat(101), "caf\u00e9", ".", "..", undefined]) {
    assertThrows(() => checkBucketName(name), StorageError, "Bucket name invalid");
  }
  fc.assert(fc.property(fc.string({ unit: "binary", maxLength: 50 }), (name) => {
    try {
      checkKey(name);
    } catch (error) {
      assert(error instanceof StorageError && error.message.length < 250);
    }
  }));
});

Deno.test("checkMediaType() accepts types and groups of types", () => {
  for (
    const [type, allowed] of [["image/png", []], ["image/png", ["image/*"]], ["TEXT/plain; charset=utf-8", [
      "text/plain",
    ]]] as const
  ) {
    checkMediaType(type, allowed);
  }
  for (
    const [type, allowed] of [["text/html", ["image/*"]], ["imagex/png", ["image/*"]], ["nothing", []], [
      "",
      [],
    ]] as const
  ) {
    assertThrows(() => checkMediaType(type, allowed), StorageError, "is not supported");
  }
});

Deno.test("SignedUrls.verify() accepts its own tokens for their object and action only, until they expire", async () => {
  const urls = new SignedUrls("a secret of the project");
  const token = await urls.sign({ url: "b/o", scope: "download" }, 60);
  assertEquals((await urls.verify(token, "b/o", "download")).url, "b/o");
  const rejected = async (given: string, url: string, scope: "download" | "upload") =>
    (await assertRejects(() => urls.verify(given, url, scope), StorageError)).code;
  assertEquals(await rejected(token, "b/other", "download"), "InvalidSignature");
  assertEquals(await rejected(token, "b/o", "upload"), "InvalidSignature");
  assertEquals(await rejected(await urls.sign({ url: "b/o", scope: "download" }, -1), "b/o", "download"), "InvalidJWT");
  assertEquals(
    await rejected(await new SignedUrls("other").sign({ url: "b/o", scope: "download" }, 60), "b/o", "download"),
    "InvalidJWT",
  );
  for (const text of ["", "x", "a.b.c", `${token}x`]) {
    assertEquals(await rejected(text, "b/o", "download"), "InvalidJWT");
  }
});

Deno.test("Files.write() tries again to prepare its folder after that has failed", async () => {
  await inFolder(async (_, root) => {
    await Deno.writeTextFile(`${root}/blocked`, "");
    const files = new Files(`${root}/blocked`);
    await assertRejects(() => files.write(chunks(new Uint8Array(3)), 10));
    await Deno.remove(`${root}/blocked`);
    assertEquals((await files.write(chunks(new Uint8Array(3)), 10)).size, 3);
  });
});
