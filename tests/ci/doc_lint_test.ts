import { assertEquals } from "@std/assert";
import { type DocReport, parseDocReports, reportApplies } from "./doc_lint.ts";

const OUTPUT = `\x1b[0m\x1b[1m\x1b[31merror[missing-jsdoc]\x1b[0m: exported symbol is missing JSDoc documentation
 \x1b[0m\x1b[38;5;12m-->\x1b[0m /p/shared/pool/lease.ts:12:3
   |
error[private-type-ref]: public type 'A' references private type 'B'
  --> /p/shared/mod.ts:3:14

error: Found 2 documentation lint errors.
`;

Deno.test("parseDocReports() returns the position, rule and message of each report", () => {
  assertEquals(parseDocReports(OUTPUT, new URL("file:///p/")), [
    {
      path: "shared/pool/lease.ts",
      line: 12,
      rule: "missing-jsdoc",
      message: "exported symbol is missing JSDoc documentation",
    },
    {
      path: "shared/mod.ts",
      line: 3,
      rule: "private-type-ref",
      message: "public type 'A' references private type 'B'",
    },
  ]);
});

const SOURCE = `import type { Context, Hono } from "hono";
import * as z from "zod";
import {
  type Lease,
} from "../pool/mod.ts";
export class MyError extends PoolError {
  static override readonly code = "MINE";
  static readonly limit = 1;
  /** @param cause The cause. */
  constructor(cause: unknown) {}
}
export class Other<S extends z.ZodType> {
  constructor(cause: unknown) {}
  size = 1;
}
`;

Deno.test("reportApplies() leaves out package types, inherited docs and constructors with @param", () => {
  const privateType = (name: string): DocReport => ({
    path: "a.ts",
    line: 1,
    rule: "private-type-ref",
    message: `public type 'X' references private type '${name}'`,
  });
  const missing = (line: number): DocReport => ({ path: "a.ts", line, rule: "missing-jsdoc", message: "" });
  const applies = (report: DocReport) => reportApplies(report, SOURCE);
  assertEquals(["Hono", "Context", "ZodType", "Lease", "Hon"].map((name) => applies(privateType(name))), [
    false,
    false,
    false,
    true,
    true,
  ]);
  assertEquals([7, 8, 10, 13, 14].map((line) => applies(missing(line))), [false, true, false, true, true]);
});
