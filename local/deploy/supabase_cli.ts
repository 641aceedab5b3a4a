/**
 * The official Supabase CLI, from npm.
 *
 * @module
 */
import { StackError } from "../stack_error.ts";

/** The package and its version. */
export const SUPABASE_CLI = "supabase@3.1.0";

/**
 * Runs the CLI in this terminal and waits for it. It is run by `npx` and not
 * imported by `npm:`, so that its hundred megabytes are downloaded only to deploy.
 *
 * @returns The exit status of the CLI.
 * @throws {StackError} `TOOL_MISSING` if `npx` is not installed.
 */
export async function runSupabase(args: readonly string[]): Promise<number> {
  const command = new Deno.Command("npx", { args: ["-y", SUPABASE_CLI, ...args] });
  try {
    return (await command.spawn().status).code;
  } catch (error) {
    if (!(error instanceof Deno.errors.NotFound)) throw error;
    throw new StackError(
      "TOOL_MISSING",
      "npx was not found: install Node.js with npm (https://nodejs.org), then try again.",
      { cause: error },
    );
  }
}
