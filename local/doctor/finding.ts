/**
 * The results of the checks.
 *
 * @module
 */

/** The result of one check. */
export type Level =
  /** Nothing to do. */
  | "ok"
  /** It works, but not everywhere or not for long. */
  | "warn"
  /** It does not work. */
  | "fail"
  /** It could not be checked. */
  | "skip";

/** One line of the report. */
export interface Finding {
  /** The name of the check; stable, such as `keys.kind`. */
  readonly check: string;
  readonly level: Level;
  /** The result, in a sentence without a full stop. Contains no secret. */
  readonly message: string;
  /** The remedy. Default: none. */
  readonly fix?: string;
}

/** Collects the findings of one group of checks. */
export class Findings {
  readonly #group: string;
  readonly #list: Finding[] = [];

  /** @param group The first part of the names of its checks. */
  constructor(group: string) {
    this.#group = group;
  }

  /** The findings so far. */
  get list(): readonly Finding[] {
    return this.#list;
  }

  /** Adds that all is well. */
  ok(check: string, message: string): void {
    this.#add({ check, level: "ok", message });
  }

  /** Adds what should be changed. */
  warn(check: string, message: string, fix: string): void {
    this.#add({ check, level: "warn", message, fix });
  }

  /** Adds what has to be changed. */
  fail(check: string, message: string, fix: string): void {
    this.#add({ check, level: "fail", message, fix });
  }

  /** Adds what could not be checked, and how it can be. */
  skip(check: string, message: string, fix: string): void {
    this.#add({ check, level: "skip", message, fix });
  }

  #add(finding: Finding): void {
    this.#list.push({ ...finding, check: `${this.#group}.${finding.check}` });
  }
}

/** The most names in one line. */
const MAX_NAMES = 5;

/** Returns names as a list, of which the first five are shown. */
export function listed(names: readonly string[]): string {
  const more = names.length - MAX_NAMES;
  return names.slice(0, MAX_NAMES).join(", ") + (more > 0 ? ` and ${more} more` : "");
}

/** Returns how many findings have each level. */
export function countLevels(findings: readonly Finding[]): Record<Level, number> {
  const counts: Record<Level, number> = { ok: 0, warn: 0, fail: 0, skip: 0 };
  for (const { level } of findings) counts[level]++;
  return counts;
}

/** Returns the report as text: one line for each finding, and one for what to do. */
export function toText(findings: readonly Finding[]): string {
  const width = Math.max(0, ...findings.map(({ check }) => check.length));
  const lines = findings.flatMap(({ check, level, message, fix }) => [
    `${level.padEnd(4)}  ${check.padEnd(width)}  ${message}`,
    ...(fix === undefined ? [] : [`${" ".repeat(width + 8)}Fix: ${fix}`]),
  ]);
  const { ok, warn, fail, skip } = countLevels(findings);
  const summary = `${ok} ok, ${warn} ${warn === 1 ? "warning" : "warnings"}, ${fail} failed, ${skip} not checked`;
  return [...lines, "", summary].join("\n");
}
