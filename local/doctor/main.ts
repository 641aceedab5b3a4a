/**
 * `deno task doctor`: checks a Supabase project and says what to fix.
 *
 * Exits with 1 if a check fails, with 2 for an invalid command line.
 *
 * @module
 */
import { messageOf } from "../../shared/resilience/mod.ts";
import { StackError } from "../stack_error.ts";
import { HELP, parseDoctorArguments } from "./arguments.ts";
import { countLevels, toText } from "./finding.ts";
import { examine } from "./mod.ts";

try {
  const args = parseDoctorArguments(Deno.args);
  if (args.help) {
    console.log(HELP);
    Deno.exit(0);
  }
  const findings = await examine(args);
  console.log(args.json ? JSON.stringify(findings, undefined, 2) : toText(findings));
  Deno.exit(countLevels(findings).fail > 0 ? 1 : 0);
} catch (error) {
  console.error(`Error: ${messageOf(error)}`);
  Deno.exit(error instanceof StackError && error.code === "USAGE" ? 2 : 1);
}
