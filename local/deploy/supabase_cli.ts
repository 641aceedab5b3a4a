/**
 * The official Supabase CLI, from npm.
 *
 * @module
 */
import { StackFault } from "../fault.ts";

/** The package and its version. */
export const SUPABASE_CLI = "supabase@3.1.0";

/**
 * Runs the CLI on our own terminal, and waits for it.
 *
 * It comes by `npx` and not by `npm:`, so that its hundred megabytes are loaded
 * by those who deploy, and by nobody else.
 *
 * @returns Its exit status.
 * @throws {StackFault} `TOOL_MISSING` if there is no `npx`.
 */
export async function runSupabase(args: readonly string[]): Promise<number> {
  const command = new Deno.Command("npx", { args: ["-y", SUPABASE_CLI, ...args] });
  try {
    return (await command.spawn().status).code;
  } catch (error) {
    if (!(error instanceof Deno.errors.NotFound)) throw error;
    throw new StackFault(
      "TOOL_MISSING",
      "There is no npx, which the Supabase CLI is started with: install Node with npm (https://nodejs.org), then try again.",
      { cause: error },
    );
  }
}
