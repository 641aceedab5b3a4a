/**
 * Passwords: bcrypt hashes, and the rules of the project.
 *
 * @module
 */
import { compare, hash } from "bcryptjs";
import type { ProjectConfig } from "../config/mod.ts";
import { AuthError, invalid } from "./errors.ts";

/** The cost of GoTrue. */
const COST = 10;
/** bcrypt ignores what follows, in bytes. */
const MAX_LENGTH = 72;

const LOWER = "abcdefghijklmnopqrstuvwxyz";
const UPPER = "ABCDEFGHIJKLMNOPQRSTUVWXYZ";
const DIGITS = "0123456789";
const SYMBOLS = "!@#$%^&*()_+-=[]{};'\\:\"|<>?,./`~";

/** The sets that `password_requirements` asks for: one character of each. */
const REQUIREMENTS: Readonly<Record<string, readonly string[]>> = {
  letters_digits: [`${LOWER}${UPPER}`, DIGITS],
  lower_upper_letters_digits: [LOWER, UPPER, DIGITS],
  lower_upper_letters_digits_symbols: [LOWER, UPPER, DIGITS, SYMBOLS],
};

/**
 * Checks a new password against the rules of the project.
 *
 * @throws {AuthError} `weak_password`, with the reasons, or `validation_failed`.
 */
export function checkPassword(password: string, config: ProjectConfig["auth"]): void {
  const length = new TextEncoder().encode(password).length;
  if (length > MAX_LENGTH) throw invalid(`Password cannot be longer than ${MAX_LENGTH} characters`);
  const messages: string[] = [];
  const reasons: string[] = [];
  if (length < config.minimumPasswordLength) {
    reasons.push("length");
    messages.push(`Password should be at least ${config.minimumPasswordLength} characters.`);
  }
  const sets = REQUIREMENTS[config.passwordRequirements] ?? [];
  if (sets.some((set) => ![...password].some((character) => set.includes(character)))) {
    reasons.push("characters");
    messages.push(`Password should contain at least one character of each: ${sets.join(", ")}.`);
  }
  if (reasons.length > 0) {
    throw new AuthError(422, "weak_password", messages.join(" "), { weak_password: { reasons } });
  }
}

/** Returns the hash of a password. */
export async function hashPassword(password: string): Promise<string> {
  return await hash(password, COST);
}

/** Returns whether a password has a hash. */
export async function matchesPassword(password: string, hashed: string): Promise<boolean> {
  return /^\$2[abxy]?\$/.test(hashed) && await compare(password, hashed);
}

/** Returns a password that its user does not know. */
export function randomPassword(): string {
  return crypto.randomUUID() + crypto.randomUUID().slice(0, 24);
}
