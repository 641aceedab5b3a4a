/**
 * Names and labels of metrics: what a caller passes cannot break a line of output.
 *
 * @module
 */

/** Labels of a series, by name. Other values than text, numbers and booleans count as empty. */
export type Labels = Readonly<Record<string, string | number | boolean | undefined>>;

/** The maximum length of a label value, in UTF-16 code units. */
export const MAX_LABEL_LENGTH = 64;

/** The maximum length of a name and of a help text. */
const MAX_NAME_LENGTH = 100;
const MAX_HELP_LENGTH = 200;

/** The label value of the series that takes what is beyond the maximum number of series. */
export const OTHER_SERIES = "other";

/** Suffixes of the lines of a histogram; a name that ends in one could collide with these lines. */
const RESERVED_SUFFIX = /_(?:bucket|sum|count|info|created)$/;

// deno-lint-ignore no-control-regex -- control characters are what must not reach a line
const CONTROL = /[\x00-\x1f\x7f-\x9f\u2028\u2029]/g;

/** Returns whether a metric may have that name, by the rules of Prometheus for names and of `promtool check metrics`. */
export function isMetricName(name: unknown): name is string {
  return typeof name === "string" && name.length <= MAX_NAME_LENGTH && /^[a-z][a-z0-9_]*$/.test(name) &&
    !RESERVED_SUFFIX.test(name);
}

/** Returns whether a label may have that name. `le` and `quantile` belong to histograms and summaries. */
export function isLabelName(name: unknown): name is string {
  return typeof name === "string" && name.length <= MAX_NAME_LENGTH && /^[a-z][a-z0-9_]*$/i.test(name) &&
    name !== "le" && name !== "quantile";
}

function shortened(text: string, maxLength: number): string {
  const plain = text.slice(0, maxLength).replace(CONTROL, " ");
  // A surrogate pair may have been split, or the text may never have been well-formed.
  return plain.toWellFormed();
}

/** Returns a label value: text on one line, well-formed, of at most {@linkcode MAX_LABEL_LENGTH}. */
export function labelValue(value: unknown): string {
  switch (typeof value) {
    case "string":
      return shortened(value, MAX_LABEL_LENGTH);
    case "number":
    case "boolean":
      return String(value);
    default:
      return "";
  }
}

/** Returns a help text: on one line, and not empty, as `promtool check metrics` demands. */
export function helpText(help: unknown, name: string): string {
  return typeof help === "string" && help.trim() !== "" ? shortened(help.trim(), MAX_HELP_LENGTH) : name;
}
