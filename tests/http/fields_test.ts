import { assertEquals } from "@std/assert";
import * as z from "zod";
import { currencyField, nameField, pageFields, uuidField } from "../../shared/http/fields.ts";

/** Asserts the value of each text, or the message that rejects it. */
function assertParses(field: z.ZodType, rows: readonly (readonly [text: unknown, value: unknown])[], message: string) {
  for (const [text, value] of rows) {
    const { data, error } = field.safeParse(text);
    assertEquals(
      error?.issues.map((issue) => issue.message) ?? data,
      value === undefined ? [message] : value,
      `${text}`,
    );
  }
}

Deno.test("nameField accepts 1 to 120 characters, trimmed, that Postgres can store", () => {
  assertParses(nameField, [
    ["a", "a"],
    ["  Food \n", "Food"],
    ["x".repeat(120), "x".repeat(120)],
    ["\u{1f600}".repeat(120), "\u{1f600}".repeat(120)],
    ["x".repeat(121), undefined],
    ["", undefined],
    ["   ", undefined],
    ["a\u0000b", undefined],
    ["a\nb", undefined],
    ["a\ud83db", undefined],
    [5, undefined],
    [undefined, undefined],
  ], "must be text of 1 to 120 characters, without control characters");
});

Deno.test("uuidField accepts a UUID of any version in either case, and returns it in lower case", () => {
  const id = "123e4567-e89b-12d3-a456-426614174000";
  assertParses(uuidField, [
    [id, id],
    [id.toUpperCase(), id],
    ["00000000-0000-0000-0000-000000000000", "00000000-0000-0000-0000-000000000000"],
    [id.slice(1), undefined],
    [`${id}0`, undefined],
    [id.replaceAll("-", ""), undefined],
    [undefined, undefined],
  ], "must be a UUID, such as 123e4567-e89b-12d3-a456-426614174000");
});

Deno.test("currencyField accepts three capital letters", () => {
  const rows = [["EUR", "EUR"], ["eur", undefined], ["EU", undefined], ["EURO", undefined], [undefined, undefined]];
  assertParses(currencyField, rows as [unknown, unknown][], "must be an ISO 4217 code, such as EUR");
});

Deno.test("pageFields accept whole numbers within their bounds, and have defaults", () => {
  const bad = ["-1", "1.5", "1e2", "", " 1", "x", 5, null].map((text) => [text, undefined] as const);
  assertParses(
    pageFields.limit,
    [[undefined, 50], ["1", 1], ["007", 7], ["100", 100], ["0", undefined], ["101", undefined], ...bad],
    "must be a whole number from 1 to 100",
  );
  assertParses(
    pageFields.offset,
    [[undefined, 0], ["0", 0], ["1000000", 1_000_000], ["1000001", undefined], ["1".repeat(10), undefined], ...bad],
    "must be a whole number from 0 to 1000000",
  );
});
