/**
 * The patterns of paths that the Supabase CLI takes.
 *
 * @module
 */

/** Takes one character; `*` takes any number of them. */
type Token = "*" | ((char: string) => boolean);

/**
 * Returns whether a path matches a pattern, as `path.Match` of Go decides, which the CLI uses: `*` and `?` do not match
 * a slash, `[a-z]` and `[^a-z]` match one character, `**` is a `*`, and braces have no meaning.
 */
export function matchesPath(pattern: string, path: string): boolean {
  const segments = path.split("/");
  const patterns = pattern.split("/");
  return patterns.length === segments.length &&
    patterns.every((each, index) => matchesSegment(tokensOf(each), [...segments[index] ?? ""]));
}

function tokensOf(pattern: string): Token[] {
  const parts = pattern.match(/\\.|\[\^?[^\][]+\]|./gsu) ?? [];
  return parts.map((part) => {
    if (part === "*") return "*";
    if (part === "?") return () => true;
    if (part.length > 1 && part.startsWith("[")) return setOf(part);
    const literal = part.length > 1 && part.startsWith("\\") ? part.slice(1) : part;
    return (char) => char === literal;
  });
}

/** Returns the test of a set such as `[a-z_]` or `[^0-9]`. */
function setOf(part: string): (char: string) => boolean {
  const isNegated = part.startsWith("[^");
  const ranges = [...part.slice(isNegated ? 2 : 1, -1).matchAll(/\\?(.)(?:-\\?(.))?/gsu)]
    .map(([, from = "", to = from]) => [from, to] as const);
  return (char) => ranges.some(([from, to]) => from <= char && char <= to) !== isNegated;
}

/** Matches by the last `*`: no earlier one has to be tried again, so that the time is bounded by the product. */
function matchesSegment(tokens: readonly Token[], chars: readonly string[]): boolean {
  let token = 0;
  let char = 0;
  let star = -1;
  let starChar = 0;
  while (char < chars.length) {
    const next = tokens[token];
    if (next === "*") {
      star = token++;
      starChar = char;
    } else if (next?.(chars[char] ?? "")) {
      token++;
      char++;
    } else if (star >= 0) {
      token = star + 1;
      char = ++starChar;
    } else {
      return false;
    }
  }
  return tokens.slice(token).every((rest) => rest === "*");
}
