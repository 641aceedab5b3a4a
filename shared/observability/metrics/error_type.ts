/**
 * The type of an error for a label.
 *
 * @module
 */
import { codeOf } from "../../resilience/mod.ts";

/** Returns the code of an error, never a message; `_OTHER` for one without. */
export function errorTypeOf(error: unknown): string {
  const code = codeOf(error);
  return code !== undefined && /^[\w.-]{1,64}$/.test(code) ? code : "_OTHER";
}
