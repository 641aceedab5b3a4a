import { assert, assertThrows } from "@std/assert";
import { Buffer } from "node:buffer";
import { DecodeError } from "../../../shared/postgres/types/value_error.ts";
import { SCALARS } from "./arbitraries.ts";
import { TypeServer } from "./type_server.ts";

/** A stream of numbers that looks random and is the same in each run. */
function numbers(seed: number): (below: number) => number {
  let state = seed;
  return (below) => {
    state = (Math.imul(state, 1_664_525) + 1_013_904_223) >>> 0;
    return Math.floor(state / 2 ** 32 * below);
  };
}

const EXPRESSIONS = [
  "true",
  "5",
  "5::int8",
  "1.5",
  "1.5::float8",
  "'2026-08-24'::date",
  "now()",
  "'1 day'::interval",
  "'10:00'::time",
  "'10:00'::timetz",
  "gen_random_uuid()",
  "'(1,2)'::point",
  "'<(1,2),3>'::circle",
  "'{\"a\":1}'::jsonb",
  "ARRAY[1, NULL, 3]",
  "ARRAY['a', 'b c', NULL]",
  "'{{1,2},{3,4}}'::int[]",
  "ARRAY[ROW(1, 'x')::pair]",
  "ROW(1, 'x')::pair",
  "int4range(1, 5)",
  "tstzrange(now(), now() + '1 day')",
  "'{[1,3),[5,8)}'::int4multirange",
  "ARRAY['1 day'::interval]",
];

/** The longest that reading a malformed value may take, in milliseconds: a wrong length could mean minutes. */
const LONGEST_MS = 20_000;

Deno.test("codecs return or throw a DecodeError at once for bytes and texts that are malformed", async (t) => {
  await using server = await TypeServer.start();
  for (const expression of EXPRESSIONS) {
    await t.step(expression, async () => {
      const { codec, bytes, text } = await server.evaluate(expression);
      assert(text !== null);
      const random = numbers(5);
      const began = performance.now();
      const attempt = (read: () => unknown) => {
        try {
          read();
        } catch (error) {
          assert(error instanceof DecodeError, String(error));
        }
      };
      for (let round = 0; round < 300; round++) {
        const letters = [...text];
        letters[random(letters.length)] = '{}()[]",\\;-:. 0x'.charAt(random(16));
        attempt(() => codec.decodeText(letters.join("")));
        attempt(() => codec.decodeText(text.slice(0, random(text.length))));
        if (!bytes || !codec.decodeBinary) continue;
        const changed = Buffer.from(bytes);
        for (let count = random(4); count >= 0; count--) changed[3 + random(bytes.length - 6)] = random(256);
        attempt(() => codec.decodeBinary?.(changed, 3, changed.length - 3));
        attempt(() => codec.decodeBinary?.(bytes, 3, 3 + random(bytes.length - 6)));
      }
      assert(performance.now() - began < LONGEST_MS);
    });
  }
});

Deno.test("codecs of a fixed size reject the bytes of a larger and a smaller type", async () => {
  await using server = await TypeServer.start();
  const sized = ["boolean", "smallint", "integer", "bigint", "double precision", "uuid", "date", "interval", "point"];
  assert(sized.every((type) => SCALARS.some((item) => item.type === type)));
  for (const type of sized) {
    const codec = await server.codec(type);
    for (const size of [0, 3, 5, 7, 9, 15, 17, 25]) {
      assertThrows(
        () => codec.decodeBinary?.(Buffer.alloc(size), 0, size),
        DecodeError,
        "its size is not that of its type",
      );
    }
  }
});
