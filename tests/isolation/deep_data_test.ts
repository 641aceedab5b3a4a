/** Tests that every walk over outside data in `shared/` is bounded: on data that is nested 100,000 deep, or as wide. */
import { assert, assertEquals, assertThrows } from "@std/assert";
import * as z from "zod";
import { areTooDeep } from "../../shared/http/auth/user_token.ts";
import { deepFreeze } from "../../shared/http/auth/authenticate.ts";
import { errorResponse } from "../../shared/http/responses/error_response.ts";
import { describeError, StructuredLog } from "../../shared/observability/mod.ts";
import { classifyFailure, messageOf, retryAfterMs, toError } from "../../shared/resilience/mod.ts";
import { toServiceError } from "../../shared/services/mod.ts";
import { jsonText } from "../../shared/postgres/types/json.ts";

const DEPTH = 100_000;

function nested(list: boolean): object {
  let value: unknown = "x";
  for (let depth = 0; depth < DEPTH; depth++) value = list ? [value] : { a: value };
  return value as object;
}

function chain(key: "cause" | "error" | "context"): Error {
  let error: Error = Object.assign(new Error("last"), { code: "ECONNREFUSED" });
  for (let depth = 0; depth < DEPTH; depth++) error = Object.assign(new Error("link"), { [key]: error });
  return error;
}

const wide = new AggregateError(new Array(DEPTH).fill(new Error("one")), "all");
const cyclic = new Error("cyclic");
cyclic.cause = new AggregateError([cyclic, cyclic], "again");

const ERRORS = [chain("cause"), chain("error"), chain("context"), wide, cyclic, nested(true), nested(false)];

Deno.test("errors that are nested deeply are classified, described and responded to", async () => {
  for (const error of ERRORS) {
    assertEquals([classifyFailure(error), retryAfterMs(error)], ["permanent", undefined]);
    assert(JSON.stringify(describeError(error)).length < 20_000);
    for (const response of [errorResponse(error), errorResponse(toServiceError(error))]) {
      assert(response.status >= 500);
      assert((await response.text()).length < 1_000);
    }
    assert(toError(error) instanceof Error);
    assertEquals(typeof messageOf(error), "string");
  }
});

Deno.test("data that is nested deeply is logged, frozen and checked", () => {
  const lines: string[] = [];
  for (const data of [nested(true), nested(false)]) {
    new StructuredLog({ sink: (line) => lines.push(line) }).info("e", { data: { data } });
    assert(areTooDeep(data));
    assert(Object.isFrozen(deepFreeze(data)));
    assert(z.strictObject({ name: z.string() }).safeParse(data).success === false);
  }
  assertEquals(lines.length, 2);
});

Deno.test("jsonText() encodes data that is nested deeply, or rejects it", () => {
  for (const data of [nested(true), nested(false)]) {
    try {
      assertEquals(jsonText(data).length > DEPTH, true);
    } catch (error) {
      assertThrows(
        () => {
          throw error;
        },
        Error,
        "nested too deeply",
      );
    }
  }
});
