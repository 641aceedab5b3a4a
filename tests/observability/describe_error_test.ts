import { assert, assertEquals, assertFalse, assertMatch } from "@std/assert";
import * as z from "zod";
import { describeError } from "../../shared/observability/mod.ts";

const VALUE = "janecanary";

/** A port that nothing listens on. */
const CLOSED = ((listener) => (listener.close(), listener.addr.port))(Deno.listen({ hostname: "127.0.0.1", port: 0 }));

/** Returns what `fail` throws. */
async function thrownBy(fail: () => unknown): Promise<unknown> {
  try {
    await fail();
  } catch (error) {
    return error;
  }
  throw new Error(`nothing was thrown by ${fail}`);
}

Deno.test("describeError() shows no value that the engine quotes in its errors", async (t) => {
  const failures: Record<string, () => unknown> = {
    "JSON.parse, an object": () => JSON.parse(`{"email": ${VALUE}@x.test}`),
    "JSON.parse, a word": () => JSON.parse(VALUE),
    "JSON.parse, at the end": () => JSON.parse(`{"a":1} ${VALUE}`),
    "Response.json": () => new Response(`<html>${VALUE}`).json(),
    BigInt: () => BigInt(VALUE),
    URL: () => new URL(VALUE),
    "URL with a base": () => new URL(`http://[${VALUE}`, `https://${VALUE}`),
    Request: () => new Request(`http://${VALUE} /`),
    "Headers, a name": () => new Headers({ [`${VALUE} `]: "x" }),
    "Headers, a value": () => new Headers({ x: `${VALUE}\u2028` }),
    RegExp: () => new RegExp(`(${VALUE}`),
    decodeURIComponent: () => decodeURIComponent(`%${VALUE}`),
    atob: () => atob(`${VALUE}$`),
    "a currency": () => new Intl.NumberFormat("en", { style: "currency", currency: VALUE }),
    "a time zone": () => new Intl.DateTimeFormat("en", { timeZone: VALUE }),
    "a language": () => Intl.getCanonicalLocales(`${VALUE}-1-x`),
    "an option": () => new Intl.NumberFormat("en", { notation: VALUE as "standard" }),
    "a date": () => new Date(VALUE).toISOString(),
    structuredClone: () => structuredClone(() => "janecanary"),
    WebSocket: () => new WebSocket(VALUE),
    "fetch, refused": () => fetch(`http://127.0.0.1:${CLOSED}/rest/v1/t?email=eq.${VALUE}#${VALUE}`),
    "fetch, credentials": () => fetch(`http://${VALUE}:${VALUE}@127.0.0.1:${CLOSED}/rest/v1/t`),
    "fetch, a path": () => fetch(`http://127.0.0.1:${CLOSED}/storage/v1/object/avatars/${VALUE}.png`),
    "a library, around JSON.parse": () =>
      Promise.reject(new Error(`cannot read: Unexpected token '${VALUE}' is not valid JSON`)),
    "zod, an unknown key": () => z.strictObject({ a: z.string() }).parse({ [`${VALUE}@x`]: VALUE }),
    "zod, a value": () =>
      z.object({ a: z.enum(["x"]), b: z.uuid() }).parse({ a: VALUE, b: VALUE }, { reportInput: true }),
    "zod, a record": () => z.record(z.string(), z.number()).parse({ [`${VALUE}@x.test`]: VALUE }),
    "a Request": () => Promise.reject(new Request(`http://x/${VALUE}`, { headers: { [VALUE]: VALUE } })),
    "a Response": () => Promise.reject(new Response(VALUE, { statusText: VALUE })),
    "Headers": () => Promise.reject(new Headers({ [VALUE]: VALUE })),
    "own members": () => Promise.reject(Object.assign(new Error("failed"), { request: VALUE, config: { url: VALUE } })),
  };
  for (const [name, fail] of Object.entries(failures)) {
    await t.step(name, async () => {
      const described = JSON.stringify(describeError(await thrownBy(fail)));
      assertFalse(described.replaceAll(/"stack":"[^"]*"/g, "").includes(VALUE), described);
    });
  }
});

Deno.test("describeError() shows names of the schema and no values in errors of the database", async (t) => {
  const rows: readonly (readonly [code: string, message: string, shown: string])[] = [
    ["42703", 'column "nam" does not exist', 'column "nam" does not exist'],
    ["PGRST205", "Could not find the table 'public.nots'", "Could not find the table 'public.nots'"],
    [
      "23505",
      'duplicate key value violates unique constraint "a_key"',
      'duplicate key value violates unique constraint "a_key"',
    ],
    [
      "42501",
      'new row violates row-level security policy for table "a"',
      'new row violates row-level security policy for table "a"',
    ],
    ["22P02", `invalid input syntax for type uuid: "${VALUE}"x"`, 'invalid input syntax for type uuid: "..."'],
    ["22003", `value "${VALUE}" is out of range for type integer`, 'value "..." is out of range for type integer'],
    [
      "22021",
      'invalid byte sequence for encoding "UTF8": 0xff 0x6a',
      'invalid byte sequence for encoding "...": 0x... 0x...',
    ],
    ["42601", `syntax error at or near "${VALUE}"`, 'syntax error at or near "..."'],
    ["PGRST100", `"failed to parse filter (${VALUE})" (line 1, column 4)`, '"..." (line 1, column 4)'],
  ];
  for (const [code, message, shown] of rows) {
    await t.step(code, () => {
      const error = { code, message, details: `Key (email)=(${VALUE}) already exists.`, hint: null };
      assertEquals(describeError(error).error, shown);
      assertEquals(describeError(new Error("outer", { cause: error })).causes?.[0]?.error, shown);
    });
  }
  for (
    const message of [
      `<html>${VALUE}`,
      `{"name": ${VALUE}`,
      `[{"name":"${VALUE}`,
      `SyntaxError: Unexpected token '${VALUE}'`,
    ]
  ) {
    await t.step(message, () => {
      assertFalse(JSON.stringify(describeError({ code: "", message, details: VALUE, hint: "" })).includes(VALUE));
    });
  }
  const raised: readonly [code: string, message: string][] = [
    ["P0001", `the budget of ${VALUE} is exceeded`],
    ["P0002", `no ${VALUE}`],
    ["PT402", `${VALUE} must pay`],
    ["XYZ01", VALUE],
    ["23505", `${VALUE} is taken`],
    ["42501", `${VALUE} may not do this`],
  ];
  for (const [code, message] of raised) {
    await t.step(`${code}, raised`, () => {
      const described = describeError({ code, message, details: VALUE, hint: VALUE });
      assertFalse(JSON.stringify(described).includes(VALUE));
      assertMatch(described.error, /^raised in the database/);
    });
  }
  await t.step("raised with the code of another class", () => {
    const error = Object.assign(new Error(VALUE), { code: "42703", severity: "ERROR", routine: "exec_stmt_raise" });
    assertFalse(JSON.stringify(describeError(error)).replace(/"stack".*/, "").includes(VALUE));
  });
});

Deno.test("describeError() shows what an application throws, without credentials and addresses", () => {
  const error = Object.assign(new Error("no plan for jane@x.test, key s3cr3t"), { code: "APP01" });
  const { error: message, name, code, stack = "" } = describeError(error, ["s3cr3t"]);
  assertEquals([message, name, code], ["no plan for [email], key [secret]", "Error", "APP01"]);
  assertMatch(stack, /^ {4}at /);
  assertFalse(stack.includes("no plan"));
  assertEquals(describeError("a thrown text"), { error: "a thrown text", name: "string" });
  assertEquals(describeError(null).error, "a value of type null was thrown");
  assertEquals(describeError(Symbol("x")).error, "a value of type symbol was thrown");
});

Deno.test("describeError() describes causes and the errors of an AggregateError, each once", () => {
  const loop = new Error("loop");
  loop.cause = new AggregateError([new Error("one"), loop, new Error("two", { cause: "three" })], "all");
  assertEquals(describeError(loop).causes?.map(({ error }) => error), ["all", "one", "two", "three"]);
  let chain: Error = new Error("last");
  for (let depth = 0; depth < 100_000; depth++) chain = new Error("link", { cause: chain });
  assertEquals(describeError(chain).causes?.length, 8);
});

Deno.test("describeError() shows only frames in the stack, however the message looks", () => {
  const error = new Error("first");
  error.message = "changed";
  const forged = new Error(`x\n    at ${VALUE} said hello\n    at ${VALUE}?q=${VALUE}:1:1`);
  for (const each of [error, forged]) {
    const { stack = "" } = describeError(each);
    assert(stack.split("\n").every((line) => /^ {4}at .*(:\d+:\d+\)?|<anonymous>\)?|index \d+\))$/.test(line)), stack);
    assertFalse(stack.includes("first") || stack.includes(VALUE), stack);
  }
});

Deno.test("describeError() keeps what helps: the member of a type error, and where a value did not match a schema", () => {
  const messageOf = (error: unknown) => describeError(error).error ?? "";
  assertMatch(messageOf(new TypeError("Cannot read properties of undefined (reading 'name')")), /'name'/);
  const { error } = z.object({ name: z.string(), age: z.number() }).safeParse({ name: 5, age: "old" });
  assertMatch(messageOf(error), /^2 issue\(s\): invalid_type at name, invalid_type at age$/);
  // An error of the engine quotes a value, whatever its class.
  for (const kind of [SyntaxError, RangeError, URIError]) {
    assertFalse(messageOf(new kind(`Unexpected token '${VALUE}'`)).includes(VALUE), kind.name);
  }
  const cloned = new DOMException(`${VALUE} could not be cloned: "${VALUE}"`, "DataCloneError");
  assertFalse(messageOf(cloned).includes(`"${VALUE}"`));
});

Deno.test("describeError() does not read the stack of an error with a very long message", () => {
  let reads = 0;
  const error = Object.defineProperty(new Error("x".repeat(1_000_000)), "stack", { get: () => String(++reads) });
  assertMatch(describeError(error).error, /^x{1000,}/);
  assertEquals(reads, 0);
});
