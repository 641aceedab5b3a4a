/** Tests each limit of the log at its bound: the longest that is kept, and the shortest that is not. */
import { assertEquals } from "@std/assert";
import { describeError, StructuredLog } from "../../shared/observability/mod.ts";
import { plainData } from "../../shared/observability/log/plain_data.ts";
import { cut, MAX_TEXT_LENGTH, redact } from "../../shared/observability/log/redact.ts";

/** Asserts that `show` keeps `most` characters, and drops one more, and the word that it is in, with a mark. */
function assertKeeps(most: number, show: (text: string) => unknown, what: string): void {
  const words = (length: number) => `${"x".repeat(length - 2)} y`;
  assertEquals(show(words(most)), words(most), what);
  assertEquals(show(words(most + 1)), `${"x".repeat(most - 1)} [2 more]`, what);
}

Deno.test("redact() and cut() keep 4,096 characters", () => {
  assertEquals(MAX_TEXT_LENGTH, 4_096);
  assertKeeps(4_096, (text) => cut(text), "cut()");
  assertKeeps(4_096, (text) => redact(text), "redact()");
});

Deno.test("describeError() bounds messages, labels, hints, causes, and the issues of a schema", () => {
  assertKeeps(2_000, (text) => describeError(new Error(text)).error, "a message");
  assertKeeps(2_000, (text) => describeError(text).error, "a text");
  assertKeeps(500, (text) => describeError(new Error("x", { cause: new Error(text) })).causes?.[0]?.error, "a cause");
  assertKeeps(500, (text) => describeError({ message: "x", hint: text }).hint, "a hint");
  assertKeeps(100, (text) => describeError({ message: "x", code: text }).code, "a code");
  assertKeeps(100, (text) => describeError(Object.assign(new Error("x"), { name: text })).name, "a name");

  const errors = (count: number) => Array.from({ length: count }, (_, index) => new Error(`${index}`));
  for (const [count, shown] of [[7, 7], [8, 8], [9, 8]] as const) {
    assertEquals(describeError(new AggregateError(errors(count), "all")).causes?.length, shown);
  }

  const issues = (count: number, path: unknown[]) => ({
    name: "ZodError",
    message: "hidden",
    issues: Array.from({ length: count }, () => ({ code: "custom", path })),
  });
  const list = (count: number, path: string) => new Array(count).fill(`custom at ${path}`).join(", ");
  assertEquals(describeError(issues(5, ["a"])).error, `5 issue(s): ${list(5, "a")}`);
  assertEquals(describeError(issues(6, ["a"])).error, `6 issue(s): ${list(5, "a")}`);
  assertEquals(describeError(issues(1, [0, 1, 2, 3, 4, 5, 6, 7, 8])).error, "1 issue(s): custom at 0.1.2.3.4.5.6.7");
  assertEquals(describeError(issues(1, [])).error, "1 issue(s): custom at the root");
  const names = ["a b", "a".repeat(40), "a".repeat(41)];
  assertEquals(describeError(issues(1, names)).error, `1 issue(s): custom at ....${"a".repeat(40)}....`);
});

Deno.test("describeError() reads the stack of an error with a message of 100,000 characters, and of none longer", () => {
  for (const [length, reads] of [[100_000, 1], [100_001, 0]] as const) {
    let read = 0;
    const error = new Error("x".repeat(length));
    describeError(Object.defineProperty(error, "stack", { get: () => (read++, "") }));
    assertEquals(read, reads, `${length}`);
  }
});

Deno.test("describeError() bounds the stack", () => {
  const frame = "    at f (file:///a.ts:1:1)";
  const error = Object.assign(new Error("x"), { stack: `Error: x\n${`${frame}\n`.repeat(1_000)}` });
  const count = describeError(error).stack?.split("\n").length;
  // The first line break is one of the 4,000 characters.
  assertEquals(count, Math.floor(3_999 / (frame.length + 1)));
});

Deno.test("describeError() describes what cannot be converted to text", () => {
  const message = {
    toString(): string {
      throw new Error("no");
    },
  };
  assertEquals(describeError({ message }), { error: "a thrown value without a text", name: "object" });
  const none = Object.assign(() => {}, { message });
  assertEquals(describeError(none), { error: "a thrown value without a text", name: "function" });
});

Deno.test("plainData() bounds texts, names, members, depth and values", () => {
  assertKeeps(1_000, (text) => plainData({ text }).text, "a text");
  const ofError = (message: string) => String(plainData({ e: Object.assign(new Error(message), { name: "E" }) }).e);
  assertKeeps(1_000 - "E: ".length, (text) => ofError(text).slice("E: ".length), "an error");
  assertKeeps(64, (text) => Object.keys(plainData({ [text]: 1 }))[0], "a name");

  const members = (count: number) => Object.fromEntries(Array.from({ length: count }, (_, n) => [`m${n}`, n]));
  for (const [count, shown] of [[32, 32], [33, 32]] as const) {
    assertEquals(Object.keys(plainData(members(count))).length, shown);
    assertEquals(Object.values(plainData({ list: Object.values(members(count)) }).list ?? {}).length, shown);
  }

  // Six lists of 32, and one: with the lists themselves, 200 values with 1 of the last list.
  const lists = (last: number) => plainData([...new Array(6).fill(new Array(32).fill(1)), new Array(last).fill(1)]);
  const flat = (last: number) => Object.values(lists(last)).flat().filter((value) => value === "[more]").length;
  assertEquals([flat(1), flat(2)], [0, 1]);
});

Deno.test("StructuredLog bounds the event and the correlation id", () => {
  const lines: string[] = [];
  const log = new StructuredLog({ sink: (line) => lines.push(line) });
  const last = () => JSON.parse(lines.at(-1) ?? "");
  assertKeeps(128, (text) => (log.info(text), last().event), "an event");
  assertKeeps(128, (correlationId) => (log.info("e", { correlationId }), last().correlationId), "an id");
});
