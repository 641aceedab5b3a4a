import { assert, assertEquals, assertFalse } from "@std/assert";
import {
  cut,
  MAX_TEXT_LENGTH,
  printableJson,
  redact,
  withoutEmails,
  withoutQuotes,
} from "../../shared/observability/log/redact.ts";

Deno.test("redact() removes queries, fragments, credentials and long paths from URLs", async (t) => {
  const rows: readonly (readonly [text: string, clean: string])[] = [
    [
      "error sending request for url (http://127.0.0.1:1/rest/v1/t?email=eq.jane%40x.test&ssn=eq.123): closed",
      "error sending request for url (http://127.0.0.1:1/rest/v1/t?[removed]): closed",
    ],
    ["(https://h/rest/v1/t?or=(a.eq.jane,b.eq.(doe)))", "(https://h/rest/v1/t?[removed])))"],
    ["https://h/a#access_token=jane", "https://h/a#[removed]"],
    ["https://h/auth/v1/admin/users/jane", "https://h/auth/v1/admin/..."],
    ["https://h/storage/v1/object/avatars/jane.png", "https://h/storage/v1/object/..."],
    ["https://h/rest/v1/rpc/pay/", "https://h/rest/v1/rpc/pay/..."],
    ["https://jane:doe@h/rest/v1/t", "https://[credentials]@h/rest/v1/t"],
    ["http://[::1]:54321/rest/v1/t", "http://[::1]:54321/rest/v1/t"],
    ["http://[::1]:54321/rest/v1/t?a=b", "http://[::1]:54321/rest/v1/t?[removed]"],
    ["http://[::1]:54321/rest/v1/t?a=j@x", "http://[credentials]?[removed]"],
    ["http://h:54321/rest/v1/t?a=j@x", "http://h:54321/rest/v1/t?[removed]"],
    ["postgres://u:p/a@ss@h/db", "postgres://[credentials]@h/db"],
    ["postgres://u:p?w@h/db", "postgres://[credentials]?[removed]"],
    ["postgres://u:p#w@h:5432/db", "postgres://[credentials]#[removed]"],
    ["GET /rest/v1/t?email=eq.jane 500", "GET /rest/v1/t?[removed] 500"],
    ["sent x-api-key=hunter2, api-key: hunter2", "sent x-api-key=[secret], api-key: [secret]"],
    [String.raw`{\"password\":\"hunter2\"}`, String.raw`{\"password\":\"[secret]\"}`],
    ["JWT_SECRET: must have at least 32 bytes", "JWT_SECRET: must have at least 32 bytes"],
    ["DB_PASSWORD: is empty", "DB_PASSWORD: is empty"],
    ["password: mustang", "password: [secret]"],
    ["password=must now", "password=[secret] now"],
    ["see docs/errors.md#CODE?", "see docs/errors.md#CODE?"],
    ["key -----BEGIN PRIVATE KEY-----\nMIIE\n-----END PRIVATE KEY----- is bad", "key [private key] is bad"],
    ["-----BEGIN OPENSSH PRIVATE KEY-----\nb3Bl", "[private key]"],
    ["-----BEGIN CERTIFICATE-----\nMIIE", "-----BEGIN CERTIFICATE-----\nMIIE"],
    ["at file:///home/a/b/c/d/e.ts:1:2", "at file:///home/a/b/c/d/e.ts:1:2"],
    ["a redirect to HTTPS://h/cb?code=jane", "a redirect to HTTPS://h/cb?[removed]"],
  ];
  for (const [text, clean] of rows) await t.step(text, () => assertEquals(redact(text), clean));
});

Deno.test("redact() leaves no part of a secret at the end of a text that it cuts", () => {
  const secret = "s3cr3t".repeat(10);
  for (let before = MAX_TEXT_LENGTH - 80; before <= MAX_TEXT_LENGTH; before++) {
    const clean = redact(`${"x ".repeat(before / 2)}${secret}`, [secret]);
    assertFalse(clean.includes("s3cr"), `${before}: ${clean.slice(-100)}`);
  }
});

Deno.test("redact() and its parts take time linear in the text", () => {
  const pumps = [
    "://",
    "eyJ-",
    "eyJ.",
    "?a=",
    "a@",
    "a@a.",
    "a.",
    "Bearer ",
    "token=",
    "token ",
    " ",
    "'",
    "\u201e",
    "@a",
    ":",
    "a%40",
    "token=\\",
  ];
  for (const pump of pumps) {
    for (const tail of ["", "!", "@", "\n", "\u{1f4a5}"]) {
      const text = pump.repeat(1_000_000 / pump.length) + tail;
      const startMs = performance.now();
      withoutQuotes(redact(withoutEmails(redact(text))));
      const durationMs = performance.now() - startMs;
      // A quadratic pattern takes minutes.
      assert(durationMs < 10_000, `${JSON.stringify(pump)}: ${durationMs} ms`);
    }
  }
});

Deno.test("cut() keeps whole words and counts what it drops", () => {
  assertEquals(cut("abc", 3), "abc");
  assertEquals(cut("ab cd ef", 7), "ab cd [3 more]");
  assertEquals(cut("x".repeat(1_000), 500), `${"x".repeat(244)} [756 more]`);
});

Deno.test("withoutEmails() removes addresses and keeps versions of packages", () => {
  assertEquals(withoutEmails("no user jane.doe+x@mail.example.com, <j@x.test>"), "no user [email], <[email]>");
  assertEquals(withoutEmails("no user jane.doe%2Bx%40mail.example.com"), "no user [email]");
  assertEquals(withoutEmails("m\u00fcller@b\u00fccher.example"), "[email]");
  assertEquals(withoutEmails("npm:@supabase/server@1.8.1 is missing"), "npm:@supabase/server@1.8.1 is missing");
});

Deno.test("withoutQuotes() removes everything between the first and the last quotation mark", () => {
  assertEquals(withoutQuotes('type uuid: "a"jane"'), 'type uuid: "..."');
  assertEquals(withoutQuotes('value "9" is out of range'), 'value "..." is out of range');
  assertEquals(withoutQuotes("ung\u00fcltige Eingabe: \u201ejane\u201c"), 'ung\u00fcltige Eingabe: "..."');
  assertEquals(withoutQuotes('unclosed "jane'), 'unclosed "..."');
  assertEquals(withoutQuotes("none"), "none");
});

Deno.test("printableJson() escapes what affects a terminal, and keeps the value", () => {
  const value = "\x1b[31m\x9b31m\x7f\x85\u2028\u2029\u202e\u2066\u200b\ufeff\ud800\u00e9\u{1f600}\r\n";
  const line = printableJson(JSON.stringify(value));
  assertEquals(JSON.parse(line), value);
  // deno-lint-ignore no-control-regex -- what must not be there
  assertFalse(/[\x00-\x1f\x7f-\x9f\u2028-\u202e\u2066-\u2069\u200b\ufeff\ud800]/.test(line), line);
});
