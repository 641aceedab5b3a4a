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
export class Other<S extends z.ZodType> {}
`;

Deno.test("reportApplies() leaves out types of npm packages, and nothing else", () => {
  const report = (rule: string, message: string): DocReport => ({ path: "a.ts", line: 1, rule, message });
  const applies = (name: string) =>
    reportApplies(report("private-type-ref", `public type 'X' references private type '${name}'`), SOURCE);
  assertEquals(["Hono", "Context", "ZodType", "Lease", "Hon"].map(applies), [false, false, false, true, true]);
  assertEquals(reportApplies(report("missing-jsdoc", "exported symbol is missing JSDoc documentation"), SOURCE), true);
});
