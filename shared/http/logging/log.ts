/**
 * The log lines of the HTTP layer: one JSON object each, without secrets.
 *
 * @module
 */
import { memberOf, observe, textOf } from "../../resilience/mod.ts";

/** Writes one line of the log. What it throws or rejects with is ignored. */
export type LogSink = (line: string) => void;

/** Texts that look like credentials, and their replacements. */
const CREDENTIALS: readonly (readonly [RegExp, string])[] = [
  [/\beyJ[\w-]*\.[\w-]+(\.[\w-]*)?/g, "[token]"],
  [/\bsb_(secret|publishable)_[\w-]+/g, "[key]"],
  [/\bBearer\s+[^\s"',;]+/gi, "Bearer [token]"],
  [/\bsbp_[\w-]+/g, "[key]"],
  [/\bBasic\s+[\w+/=-]+/gi, "Basic [credentials]"],
  // Passwords that should have been escaped hold slashes and at signs themselves.
  [/:\/\/[^\s"'?#]*@/g, "://[credentials]@"],
  [
    /(password|passwd|pwd|secret|token|api_?key)(["']?\s*[=:]\s*["']?)[^\s"'&,;]+/gi,
    "$1$2[secret]",
  ],
];

/** Returns `text` without anything that looks like a credential, and without the values in `secrets`. */
export function redact(text: string, secrets: Iterable<string> = []): string {
  let clean = text;
  for (const secret of secrets) {
    if (secret !== "") clean = clean.replaceAll(secret, "[secret]");
  }
  return CREDENTIALS.reduce((rest, [pattern, label]) => rest.replace(pattern, label), clean);
}

/** Maximum length of a chain of causes. */
const MAX_CAUSES = 5;

/**
 * Returns an error as members of a log line: only name, code, message, hint and stack. The `details` of a Postgres
 * error hold values of rows and are left out.
 */
function describe(error: unknown, clean: (text: string) => string, depth = 0): Record<string, unknown> {
  const [codeMember, hint] = [memberOf(error, "code"), textOf(error, "hint")];
  const hasCode = typeof codeMember === "string" || typeof codeMember === "number";
  const code = hasCode ? clean(String(codeMember)) : undefined;
  if (!(error instanceof Error)) {
    const message = memberOf(error, "message");
    return {
      name: typeof error,
      code,
      message: message === undefined ? `a ${typeof error} was thrown` : clean(String(message)),
    };
  }
  const { name, stack, cause } = error;
  return {
    name: clean(String(name)),
    code,
    message: clean(String(error.message)),
    hint: hint === undefined ? undefined : clean(hint),
    stack: depth === 0 && stack !== undefined ? clean(String(stack)) : undefined,
    cause: cause === undefined || depth >= MAX_CAUSES ? undefined : describe(cause, clean, depth + 1),
  };
}

/** More members of a log line. */
export interface LogEntry {
  /** Default: `error`. */
  readonly level?: "error" | "warn";
  /** The number of occurrences that the line stands for. Default: none is given. */
  readonly count?: number;
  /** Values to redact, beside texts that look like credentials. Default: none. */
  readonly secrets?: Iterable<string>;
}

/**
 * Logs one line about `error`. Never throws, whatever `error` and `sink` are.
 *
 * @param event The name of the event: stable words joined by `_`.
 */
export function logError(event: string, error: unknown, sink: LogSink, entry: LogEntry = {}): void {
  const { level = "error", count, secrets = [] } = entry;
  const known = [...secrets];
  const clean = (text: string) => redact(text, known);
  let line: string;
  try {
    line = JSON.stringify({ level, event, count, error: describe(error, clean) });
  } catch {
    // Anything can be thrown: getters may throw, and so may conversions to text.
    line = JSON.stringify({
      level,
      event,
      count,
      error: { name: typeof error, message: "a thrown value without a text" },
    });
  }
  // A failing log must not fail the request, and there is no other log to report it to.
  observe(() => sink(line), () => {});
}
