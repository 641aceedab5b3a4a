/**
 * Messages between isolates: whose values in memory are no longer valid.
 *
 * @module
 */
import { memberOf } from "../resilience/mod.ts";

/** The keys and tags that became invalid. */
export interface InvalidationMessage {
  /** The id of the isolate that sent it. */
  readonly origin: string;
  readonly keys: readonly string[];
  readonly tags: readonly string[];
}

/** Returns the text of a message. */
export function encodeInvalidation({ origin, keys, tags }: InvalidationMessage): string {
  return JSON.stringify({ origin, keys, tags });
}

function isTexts(value: unknown): value is string[] {
  return Array.isArray(value) && value.every((each) => typeof each === "string");
}

/** Reads a message; returns `undefined` if {@linkcode encodeInvalidation} has not written it. */
export function decodeInvalidation(text: string): InvalidationMessage | undefined {
  try {
    const message: unknown = JSON.parse(text);
    const [origin, keys, tags] = ["origin", "keys", "tags"].map((name) => memberOf(message, name));
    return typeof origin === "string" && isTexts(keys) && isTexts(tags) ? { origin, keys, tags } : undefined;
  } catch {
    return undefined;
  }
}
