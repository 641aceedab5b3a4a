import { assertEquals } from "@std/assert";
import { plainData } from "../../shared/observability/log/plain_data.ts";

Deno.test("plainData() copies texts, numbers, switches and null, and leaves out undefined in JSON", () => {
  const copy = plainData({ a: "x", b: 1.5, c: true, d: null, e: undefined });
  assertEquals(JSON.stringify(copy), '{"a":"x","b":1.5,"c":true,"d":null}');
});

Deno.test("plainData() shows dates, errors, bytes and big integers as texts, and other values by their kind", () => {
  const copy = plainData({
    date: new Date(0),
    never: new Date(NaN),
    error: new RangeError("too far"),
    bytes: new Uint8Array(16),
    words: new Uint16Array(3),
    big: 12345678901234567890n,
    call: () => 1,
    symbol: Symbol("s"),
  });
  assertEquals(copy, {
    date: "1970-01-01T00:00:00.000Z",
    never: "Invalid Date",
    error: "RangeError: too far",
    bytes: "[16 bytes]",
    words: "[6 bytes]",
    big: "12345678901234567890",
    call: "[function]",
    symbol: "[symbol]",
  });
});

Deno.test("plainData() hides members that hold credentials, and secrets and addresses within texts", () => {
  const copy = plainData({
    password: "hunter2",
    nested: { API_KEY: "hunter2", "x-api-key": "hunter2", note: "from alice@example.com" },
    error: new Error("apikey sb_secret_abcdefghijklmnopqrst is invalid"),
  });
  const text = JSON.stringify(copy);
  assertEquals(copy.password, "[hidden]");
  for (const secret of ["hunter2", "alice@example.com", "abcdefghijklmnopqrst"]) {
    assertEquals(text.includes(secret), false, text);
  }
});

Deno.test("plainData() hides keys and tokens by any of their usual names", () => {
  const names = [
    "pwd",
    "DB_PWD",
    "pass",
    "jwt",
    "jwt_claims",
    "privateKey",
    "PRIVATE_KEY",
    "accessKeyId",
    "service_role_key",
  ];
  const copy = plainData(Object.fromEntries(names.map((name) => [name, "hunter2"])));
  assertEquals(copy, Object.fromEntries(names.map((name) => [name, "[hidden]"])));
  const shown = { passed: true, cacheKey: "a", primary_key: "id", compass: 1 };
  assertEquals(plainData(shown), shown);
  const pem = `-----BEGIN RSA PRIVATE KEY-----\n${"MIIE\n".repeat(50)}-----END RSA PRIVATE KEY-----`;
  assertEquals(plainData({ ssl: { ca: "a", key: pem } }), { ssl: { ca: "a", key: "[private key]" } });
});

Deno.test("plainData() shows errors of the database without the values of rows, also those that are no instances of Error", () => {
  const row = "jane canary";
  const fields = [
    { code: "22P02", message: `invalid input syntax for type integer: "${row}"`, severity: "ERROR" },
    { code: "P0001", message: `${row} owes money`, severity: "ERROR" },
    { code: "23505", message: 'duplicate key value violates "u"', details: `Key (name)=(${row}) exists.`, hint: null },
    { code: "PGRST100", message: `"failed to parse filter (${row})" (line 1, column 4)`, details: row, hint: row },
  ];
  for (const each of fields) {
    const error = Object.assign(new Error(each.message), { name: "PostgrestError" }, each);
    const text = JSON.stringify(plainData({ error, list: [error], thrown: each }));
    assertEquals(text.includes("canary"), false, text);
    assertEquals(text.includes(`"thrown":"${each.code}: `), true, text);
  }
  const syntax = JSON.stringify(plainData({ error: new SyntaxError(`Unexpected token '${row}' in JSON`) }));
  assertEquals(syntax, '{"error":"SyntaxError: Unexpected token \\"...\\" in JSON"}');
  // What only has a code is data of an application.
  assertEquals(plainData({ sent: { code: "22P02", message: row } }), { sent: { code: "22P02", message: row } });
});

Deno.test("plainData() copies own members only, and never calls toJSON", () => {
  class Base {
    own = 1;
  }
  const value = Object.assign(Object.create({ inherited: 2, toJSON: () => "called" }), new Base());
  assertEquals(plainData({ value }), { value: { own: 1 } });
  assertEquals(plainData(Object.create({ inherited: 1 })), {});
});

Deno.test("plainData() bounds depth, members and the number of values", () => {
  assertEquals(plainData({ a: { b: { c: { d: { e: 1 } } } } }), { a: { b: { c: { d: "[deeper]" } } } });
  const wide = plainData({ list: Array.from({ length: 100 }, (_, n) => n) });
  assertEquals((wide.list as number[]).length, 32);
  assertEquals(
    Object.keys(plainData(Object.fromEntries(Array.from({ length: 100 }, (_, n) => [`m${n}`, n])))).length,
    32,
  );
  // 20 lists of 20 values are more than 200 values.
  const many = plainData({ lists: Array.from({ length: 20 }, () => Array.from({ length: 20 }, () => 1)) });
  const values = (many.lists as unknown[]).flat();
  assertEquals(values.filter((value) => value === 1).length, 200 - 10 - 1);
  assertEquals(values.at(-1), "[more]");
});

Deno.test("plainData() replaces what cannot be read", () => {
  const value = {
    get broken(): string {
      throw new Error("no");
    },
  };
  assertEquals(plainData({ value, after: 1 }), { value: { broken: "[unreadable]" }, after: 1 });
  const circle: Record<string, unknown> = {};
  circle["self"] = circle;
  assertEquals(JSON.stringify(plainData(circle)), '{"self":{"self":{"self":{"self":"[deeper]"}}}}');
});

Deno.test("plainData() shows data that is no plain object as its value or its items", () => {
  assertEquals(plainData(new Date(0)), { value: "1970-01-01T00:00:00.000Z" });
  assertEquals(plainData(new RangeError("too far")), { value: "RangeError: too far" });
  assertEquals(plainData(new Uint8Array(3)), { value: "[3 bytes]" });
  assertEquals(plainData(["a", { b: 1 }]), { 0: "a", 1: { b: 1 } });
});

Deno.test("plainData() shows a value that cannot be inspected at all as unreadable", () => {
  const { proxy, revoke } = Proxy.revocable({}, {});
  revoke();
  assertEquals(plainData({ proxy, list: [proxy] }), { proxy: "[unreadable]", list: ["[unreadable]"] });
  assertEquals(plainData(proxy), { value: "[unreadable]" });
});

Deno.test("plainData() calls no method of lists, dates and bytes, which may return anything", () => {
  const hostile = {
    toJSON() {
      throw new Error("no");
    },
  };
  class List extends Array<number> {
    override slice(): never {
      return hostile as never;
    }
  }
  class When extends Date {
    override getTime(): number {
      return NaN;
    }
    override toISOString(): string {
      return hostile as never;
    }
  }
  const bytes = Object.defineProperty(new Uint8Array(2), "byteLength", { value: "x".repeat(100_000) });
  const length = Object.defineProperty(new Proxy([], { get: (_list, key) => key === "length" ? 1e9 : 1 }), "own", {});
  const copy = plainData({ list: List.of(1, 2), when: new When(0), bytes, length });
  assertEquals(
    JSON.stringify(copy),
    JSON.stringify({
      list: [1, 2],
      when: "1970-01-01T00:00:00.000Z",
      bytes: "[NaN bytes]",
      length: new Array(32).fill(1),
    }),
  );
});

Deno.test("plainData() shows integers of at most 100 digits", () => {
  const most = 10n ** 100n - 1n;
  const copy = plainData({ most, least: -most, more: most + 1n, less: -most - 1n, huge: 1n << 20_000_000n });
  assertEquals(copy, {
    most: "9".repeat(100),
    least: `-${"9".repeat(100)}`,
    more: "[bigint]",
    less: "[bigint]",
    huge: "[bigint]",
  });
});
