import { assertEquals } from "@std/assert";
import fc from "fast-check";
import { CASES, expectation, valuesOf } from "./arbitraries.ts";
import { show, TypeServer } from "./type_server.ts";

/** Values of each type, for a scale of 1. */
const VALUES = 24;
/** Values of one statement. */
const BATCH = 8;

const { PROPERTY_SCALE = "1", PROPERTY_SEED = "20260824" } = Deno.env.toObject();
const scale = Number(PROPERTY_SCALE);
const seed = PROPERTY_SEED === "random" ? Math.trunc(Math.random() * 2 ** 31) : Number(PROPERTY_SEED);

Deno.test(`codecs give the server's own round trip for every type (seed ${seed})`, async (t) => {
  await using server = await TypeServer.start();
  const version = await server.version();
  let values = 0;
  for (const item of CASES) {
    await t.step(item.type, async () => {
      const codec = await server.codec(item.type);
      const expected = expectation(item);
      const property = fc.asyncProperty(
        fc.array(valuesOf(item, version), { minLength: BATCH, maxLength: BATCH }),
        async (given) => {
          values += given.length;
          const found = await server.roundTrip(codec, given);
          for (const [index, { value, binaryValue }] of found.entries()) {
            assertEquals(show(binaryValue), show(value), "binary and text agree");
            if (!expected) continue;
            const wanted = given[index] === null || given[index] === undefined ? null : expected(given[index]);
            assertEquals(show(value), show(wanted), "the server's value");
          }
          const again = await server.roundTrip(codec, found.map(({ value }) => value));
          assertEquals(
            again.map(({ text }) => text),
            found.map(({ text }) => text),
            "what was read is sent back as it was",
          );
        },
      );
      await fc.assert(property, {
        seed,
        numRuns: Math.max(1, Math.round(VALUES * scale / BATCH)),
        endOnFailure: scale > 5,
      });
    });
  }
  console.log(`${values} values of ${CASES.length} kinds`);
});
