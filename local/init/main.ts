/**
 * `deno task init`: prepares an existing Supabase project for the pool.
 *
 * Exits with 0 if the project is prepared, with 1 if it could not be, with 2 for an invalid command line.
 *
 * @module
 */
import { messageOf } from "../../shared/resilience/mod.ts";
import { StackError } from "../stack_error.ts";
import { HELP, parseInitArguments } from "./arguments.ts";
import { init } from "./init.ts";

try {
  const options = parseInitArguments(Deno.args);
  if (options.help) {
    console.log(HELP);
    Deno.exit(0);
  }
  Deno.exit(await init(options));
} catch (error) {
  console.error(`Error: ${messageOf(error)}`);
  Deno.exit(error instanceof StackError && error.code === "USAGE" ? 2 : 1);
}
