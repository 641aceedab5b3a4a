/**
 * Functions that `init --migrate` must rewrite without a change of behavior, or leave alone for a reason.
 *
 * @module
 */
import { ACTORS } from "./actors.ts";
import { CALLER_TOKENS } from "./caller_tokens.ts";
import { CLIENT_SCOPES } from "./client_scopes.ts";
import { HANDLERS } from "./handlers.ts";
import { HELPERS } from "./helpers.ts";
import { IMPORTS } from "./imports.ts";
import { LATER_WORK } from "./later_work.ts";
import { OPTIONS } from "./options.ts";
import { PREFLIGHTS } from "./preflights.ts";
import { TEXTS } from "./texts.ts";
import { TYPES } from "./types.ts";
import type { SampleFunction } from "./sample.ts";

export type { SampleFunction } from "./sample.ts";

/** The functions, by what is special about them. */
export const FUNCTIONS: Readonly<Record<string, SampleFunction>> = {
  ...ACTORS,
  ...CALLER_TOKENS,
  ...CLIENT_SCOPES,
  ...LATER_WORK,
  ...IMPORTS,
  ...HELPERS,
  ...HANDLERS,
  ...PREFLIGHTS,
  ...OPTIONS,
  ...TYPES,
  ...TEXTS,
};
