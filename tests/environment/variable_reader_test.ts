import { assertEquals } from "@std/assert";
import * as z from "zod";
import { VariableReader, type Variables } from "../../shared/environment/mod.ts";

const number = z.int({ error: "must be a whole number" });

function reading<T>(variables: Variables, read: (reader: VariableReader) => T): [T, Record<string, string>] {
  const reader = new VariableReader(variables);
  const result = read(reader);
  return [result, Object.fromEntries(reader.issues.map(({ path, message }) => [path, message]))];
}

Deno.test("VariableReader.find() returns the first variable that is set and not blank, trimmed", () => {
  const variables = { A: " ", B: " b ", C: "c" };
  assertEquals(new VariableReader(variables).find(["A", "B", "C"]), { name: "B", raw: "b" });
  assertEquals(new VariableReader(variables).find("A"), undefined);
  assertEquals(new VariableReader(variables).find("B", { secret: true })?.raw, " b ");
});

Deno.test("VariableReader.value() returns the text, number, switch, list or lower-case name that the schema accepts", () => {
  const rows: readonly (readonly [raw: string, schema: z.ZodType, value: unknown])[] = [
    ["5", z.string(), "5"],
    [" 5 ", number, 5],
    ["1e3", number, 1_000],
    ["-.5", z.number(), -0.5],
    ["Infinity", z.literal(Infinity), Infinity],
    ["auto", z.union([number, z.literal("auto")]), "auto"],
    ["On", z.boolean(), true],
    ["0", z.boolean(), false],
    ...["true", "on", "1", "TRUE"].map((raw) => [raw, z.boolean(), true] as const),
    ...["false", "off", "0", "False"].map((raw) => [raw, z.boolean(), false] as const),
    ["a, b", z.array(z.string()), ["a", "b"]],
    ["Transaction", z.enum(["session", "transaction"]), "transaction"],
  ];
  for (const [raw, schema, value] of rows) {
    assertEquals(reading<unknown>({ A: raw }, (reader) => reader.value("A", () => schema)), [value, {}], raw);
  }
});

Deno.test("VariableReader.value() creates the schema of a variable only if that is set", () => {
  let created = 0;
  const schemaOf = () => (created++, number);
  assertEquals(reading({ A: " " }, (reader) => reader.value(["A", "B"], schemaOf)), [undefined, {}]);
  assertEquals([created, reading({ A: "1" }, (reader) => reader.value("A", schemaOf)), created], [0, [1, {}], 1]);
});

Deno.test("VariableReader.value() reports a bad value with the name of its variable and the schema's message", () => {
  const rows: readonly (readonly [raw: string, message: string])[] = [
    ["ten", 'is "ten", must be a whole number'],
    ["0x10", 'is "0x10", must be a whole number'],
    ["1.5", 'is "1.5", must be a whole number'],
    ["x".repeat(41), "is a text of 41 characters, must be a whole number"],
    ["sb_secret_a", "is set to a value that may be secret, must be a whole number"],
    ["eyJa.b.c", "is set to a value that may be secret, must be a whole number"],
    ["postgres://a:b@c", "is set to a value that may be secret, must be a whole number"],
    ["a:b@c", "is set to a value that may be secret, must be a whole number"],
  ];
  for (const [raw, message] of rows) {
    assertEquals(
      reading({ B: raw }, (reader) => reader.value(["A", "B"], () => number)),
      [undefined, { B: message }],
      raw,
    );
  }
  assertEquals(reading({ A: "hunter2" }, (reader) => reader.value("A", () => number, { secret: true })), [
    undefined,
    { A: "is set, must be a whole number" },
  ]);
});

Deno.test("VariableReader.value() names the values of a switch where the schema accepts both, and else its own message", () => {
  const error = "its own message";
  const rows: readonly (readonly [schema: z.ZodType, message: string])[] = [
    [z.boolean({ error }), "must be on or off, true or false, 1 or 0"],
    [z.union([z.boolean(), number], { error }), "must be on or off, true or false, 1 or 0"],
    [z.literal(true, { error }), error],
    [z.literal(false, { error }), error],
    [z.literal("auto", { error }), error],
    // One without a message of its own.
    [
      { safeParse: () => ({ success: false, error: { issues: [] } }) } as unknown as z.ZodType,
      "must have another value",
    ],
  ];
  for (const [schema, message] of rows) {
    const [value, issues] = reading<unknown>({ A: "maybe" }, (reader) => reader.value("A", () => schema));
    assertEquals([value, issues], [undefined, { A: `is "maybe", ${message}` }]);
  }
});

Deno.test("VariableReader.switch() and choice() accept any case and report other values", () => {
  assertEquals(reading({ A: "TRUE" }, (reader) => reader.switch("A")), [true, {}]);
  assertEquals(reading({ A: "off" }, (reader) => reader.switch("A")), [false, {}]);
  assertEquals(reading({}, (reader) => reader.switch("A")), [undefined, {}]);
  assertEquals(reading({ A: "maybe" }, (reader) => reader.switch("A")), [
    undefined,
    { A: 'is "maybe", must be on or off, true or false, 1 or 0' },
  ]);
  assertEquals(reading({ A: "Edge" }, (reader) => reader.choice("A", ["edge", "server"])), ["edge", {}]);
  assertEquals(reading({ A: "__proto__" }, (reader) => reader.choice("A", ["edge", "server"])), [
    undefined,
    { A: 'is "__proto__", must be one of edge, server' },
  ]);
});

Deno.test("VariableReader.rejectUnknown() suggests the nearest known name", () => {
  const [, issues] = reading({ POOL_SIZ: "1", POOL_MAX: "", OTHER: "1" }, (reader) => {
    reader.rejectUnknown("POOL_", ["POOL_SIZE", "POOL_MAX"]);
  });
  assertEquals(issues, { POOL_SIZ: "is not a known POOL_* variable. Did you mean POOL_SIZE?" });
});
