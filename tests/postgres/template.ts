/**
 * A data folder that many test processes start their servers from.
 *
 * @module
 */
import type { StartPostgresOptions } from "../../local/postgres/mod.ts";

/** The variable of a process that runs tests: a `PostgresTemplate` as JSON. */
export const TEMPLATE_VARIABLE = "TEST_POSTGRES_TEMPLATE";

/** Returns the options to start from the data folder of {@linkcode TEMPLATE_VARIABLE}; none if it is not set. */
export function templateOptions(): Pick<StartPostgresOptions, "template"> {
  const text = Deno.env.get(TEMPLATE_VARIABLE);
  return text === undefined ? {} : { template: JSON.parse(text) };
}
