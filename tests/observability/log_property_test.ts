/** Properties of the log, on values of any kind. */
import { assert, assertEquals } from "@std/assert";
import fc from "fast-check";
import { describeError, MAX_LINE_LENGTH, StructuredLog } from "../../shared/observability/mod.ts";
import { FakeClock } from "../support/fake_clock.ts";

/** Texts that break lines, color terminals, or are not well-formed. */
const hostileText = fc.oneof(
  fc.string({ unit: "binary", maxLength: 300 }),
  fc.constantFrom(
    "\r\n",
    "\u001b[31m",
    "\u009b2J",
    "\u2028",
    "\u202e",
    "\ud800",
    "\u0000".repeat(5_000),
    "x".repeat(50_000),
  ),
);

const anything = fc.anything({
  values: [
    hostileText,
    fc.integer(),
    fc.double(),
    fc.bigInt(),
    fc.boolean(),
    fc.constant(Symbol("s")),
    fc.func(fc.nat()),
  ],
  key: hostileText,
  withBigInt: true,
  withBoxedValues: true,
  withDate: true,
  withMap: true,
  withNullPrototype: true,
  withObjectString: true,
  withSet: true,
  withSparseArray: true,
  withTypedArray: true,
  maxDepth: 6,
});

function raise(thrown: unknown): never {
  throw thrown;
}

/** The value itself, errors with it, and objects whose members throw it. */
const hostile = anything.chain((value) =>
  fc.constantFrom<unknown>(
    value,
    Object.assign(new Error("e"), { cause: value, code: value, hint: value, name: value }),
    {
      value,
      member: Object.defineProperty({}, "bad", { enumerable: true, get: () => raise(value) }),
    },
    new Proxy({}, { get: () => raise(value) }),
    new AggregateError([value, value]),
  )
);

// deno-lint-ignore no-control-regex -- what must not be there
const UNPRINTABLE = /[\x00-\x1f\x7f-\x9f\u2028-\u202e\ud800-\udfff]/;

Deno.test("StructuredLog throws for nothing, and writes lines of JSON that are bounded and printable", () => {
  const property = fc.property(hostile, hostile, hostile, hostile, (event, correlationId, data, error) => {
    const lines: string[] = [];
    const log = new StructuredLog({ sink: (line) => lines.push(line), clock: new FakeClock() });
    const entry = { correlationId, data, error, secrets: ["secret"], perSecond: 5 };
    log.error(event as string, entry as never);
    log.info("e", entry as never);
    assertEquals(lines.length, 2);
    for (const line of lines) {
      assert(line.length <= MAX_LINE_LENGTH, `${line.length}`);
      const shown = line.replaceAll(/[\ud800-\udbff][\udc00-\udfff]/g, "");
      assert(!UNPRINTABLE.test(shown), shown);
      const { timestamp, level } = JSON.parse(line);
      assert(/^\d{4}-.*Z$/.test(timestamp) && ["error", "info"].includes(level));
    }
  });
  fc.assert(property, { numRuns: 300, seed: 1 });
});

Deno.test("describeError() throws for nothing, and describes with texts alone", () => {
  const property = fc.property(hostile, (thrown) => {
    const { error, name } = describeError(thrown);
    assertEquals([typeof error, typeof name], ["string", "string"]);
  });
  fc.assert(property, { numRuns: 500, seed: 2 });
});
