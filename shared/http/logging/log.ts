/**
 * What this layer writes to the log: one JSON object per line, with no secret
 * in it.
 *
 * @module
 */
import { observe } from "../../resilience/mod.ts";

/** Takes one line of the log. What it throws, or what it returns is rejected with, is ignored. */
export type LogSink = (line: string) => void;

/** What looks like a credential, wherever it stands in a text. */
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

/** `text` without what looks like a credential, and without any of `secrets`. */
export function redact(text: string, secrets: Iterable<string> = []): string {
  let clean = text;
  for (const secret of secrets) {
    if (secret !== "") clean = clean.replaceAll(secret, "[secret]");
  }
  return CREDENTIALS.reduce((rest, [pattern, label]) => rest.replace(pattern, label), clean);
}

/** How deep a chain of causes is followed. */
const MAX_CAUSES = 5;

/**
 * An error as members of a log line. Only name, code, message, hint and stack: the
 * `details` of a Postgres error carry the values of rows.
 */
function describe(error: unknown, clean: (text: unknown) => string, depth = 0): Record<string, unknown> {
  if (!(error instanceof Error)) {
    const fields = typeof error === "object" && error !== null ? error as Record<string, unknown> : {};
    const message = "message" in fields ? String(fields["message"]) : `a ${typeof error} was thrown`;
    return { name: typeof error, code: codeOf(fields, clean), message: clean(message) };
  }
  const { name, message, stack, cause } = error;
  return {
    name: clean(name),
    code: codeOf(error, clean),
    message: clean(message),
    hint: "hint" in error && typeof error.hint === "string" ? clean(error.hint) : undefined,
    stack: depth === 0 && stack !== undefined ? clean(stack) : undefined,
    cause: cause === undefined || depth >= MAX_CAUSES ? undefined : describe(cause, clean, depth + 1),
  };
}

function codeOf(error: object, clean: (text: unknown) => string): string | undefined {
  return "code" in error && (typeof error.code === "string" || typeof error.code === "number")
    ? clean(String(error.code))
    : undefined;
}

/** What a line says beside the event and the error. */
export interface LogEntry {
  /** Default: `error`. */
  readonly level?: "error" | "warn";
  /** How many occurrences the line stands for. Default: not said. */
  readonly count?: number;
  /** Values that must not show, beside what looks like a credential. Default: none. */
  readonly secrets?: Iterable<string>;
}

/**
 * Writes one line about `error`. Never throws, whatever `error` and `sink` are.
 *
 * @param event What happened, in stable words joined by `_`.
 */
export function logError(event: string, error: unknown, sink: LogSink, entry: LogEntry = {}): void {
  const { level = "error", count, secrets = [] } = entry;
  const known = [...secrets];
  const clean = (text: unknown) => redact(String(text), known);
  let line: string;
  try {
    line = JSON.stringify({ level, event, count, error: describe(error, clean) });
  } catch {
    // What can be thrown can be anything: getters that throw, text that is none.
    line = JSON.stringify({
      level,
      event,
      count,
      error: { name: typeof error, message: "what was thrown has no text" },
    });
  }
  // Nobody is left to be told of a failure, and whoever is served must not suffer for it.
  observe(() => sink(line), () => {});
}
