import { assertEquals } from "@std/assert";
import { errorLine } from "../../local/data_api/error_log.ts";

Deno.test("errorLine() shows errors of the Data API itself, not those that the response reports to the caller", () => {
  const withCode = (code: unknown, message = "x") => Object.assign(new Error(message), { code });
  const ofCaller = [
    withCode("23505"),
    withCode("42P01"),
    withCode("PGRST200"),
    new Error("Could not find the table 'public.pool_health_probe' in the schema cache"),
  ];
  for (const error of ofCaller) assertEquals(errorLine(error), undefined, error.message);
  assertEquals(errorLine(new TypeError("x is not a function")), "TypeError: x is not a function");
  assertEquals(errorLine(withCode("ERR_SOCKET")), "Error: x");
  assertEquals(errorLine(withCode(5)), "Error: x");
});
