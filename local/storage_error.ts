/**
 * Errors of the file system in the words of the user.
 *
 * @module
 */
import { messageOf } from "../shared/resilience/mod.ts";

/** Reasons and remedies by the code of the operating system, with the text that other programs print for it. */
const REASONS: readonly (readonly [code: string, text: RegExp, reason: string, remedy: string])[] = [
  ["ENOSPC", /No space left on device/, "the disk is full", "free some space"],
  ["EDQUOT", /Disk quota exceeded/, "the disk quota is used up", "free some space"],
  ["EROFS", /Read-only file system/, "the file system is read-only", "copy the project to a writable one"],
  ["EMFILE", /Too many open files/, "too many files are open", "raise the limit with ulimit -n"],
  ["ENFILE", /Too many open files in system/, "too many files are open", "close other programs"],
  ["EIO", /Input\/output error/, "the disk reports an error", "check the disk"],
];

/** The reason for an error of the file system, and the remedy. */
export interface StorageReason {
  /** The reason, such as "the disk is full". */
  readonly reason: string;
  /** The remedy, in the imperative. */
  readonly remedy: string;
}

/** Returns the reason for `error`, which is an error or a line of a program; `undefined` if it has another one. */
export function storageReason(error: unknown): StorageReason | undefined {
  const code = typeof error === "object" && error !== null && "code" in error ? error.code : undefined;
  const text = messageOf(error);
  const found = REASONS.find(([name, pattern]) => name === code || pattern.test(text));
  return found && { reason: found[2], remedy: found[3] };
}
