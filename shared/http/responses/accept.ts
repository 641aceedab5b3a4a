/**
 * What a caller would rather have (RFC 9110, section 12.5.1).
 *
 * @module
 */

/** The weight that `accept` gives to `type` by its own name; 0 where only a wildcard covers it. */
function weightOf(accept: string, type: string): number {
  for (const range of accept.toLowerCase().split(",")) {
    const [name, ...parameters] = range.split(";").map((part) => part.trim());
    if (name !== type) continue;
    const q = parameters.find((parameter) => parameter.startsWith("q="));
    const weight = q === undefined ? 1 : Number(q.slice(2));
    return weight >= 0 && weight <= 1 ? weight : 0;
  }
  return 0;
}

/**
 * Whether the header `accept` asks for `type` by its name, and for `usual` less
 * or not at all. Whoever takes anything gets the usual.
 */
export function prefers(accept: string | null, type: string, usual: string): boolean {
  return accept !== null && weightOf(accept, type) > weightOf(accept, usual);
}
