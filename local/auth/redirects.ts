/**
 * The addresses that links may lead to.
 *
 * @module
 */
import type { ProjectConfig } from "../config/mod.ts";

/**
 * Returns whether a text matches a glob: `*` and `?` match no `.` and no `/`, `**` matches all. The time is linear in the
 * text.
 */
export function matchesGlob(glob: string, text: string): boolean {
  const parts = glob.match(/\*\*|[\s\S]/g) ?? [];
  const repeats = (part: string | undefined) => part === "*" || part === "**";
  /** Adds a position in the glob, and those behind parts that may match nothing. */
  const add = (positions: Set<number>, at: number) => {
    positions.add(at);
    while (repeats(parts[at])) positions.add(++at);
  };
  let current = new Set<number>();
  add(current, 0);
  for (const character of text) {
    const next = new Set<number>();
    const separates = character === "." || character === "/";
    for (const at of current) {
      const part = parts[at];
      if (part === "**" || (part === "*" && !separates)) add(next, at);
      else if (part === character || (part === "?" && !separates)) add(next, at + 1);
    }
    current = next;
  }
  return current.has(parts.length);
}

function isLoopback(hostname: string): boolean {
  return ["localhost", "[::1]"].includes(hostname) || /^127\.\d+\.\d+\.\d+$/.test(hostname);
}

/** Returns `requested` if the project allows it; otherwise the URL of its site. */
export function checkRedirect(config: ProjectConfig["auth"], requested: string | null | undefined): string {
  const url = requested ? URL.parse(requested) : null;
  if (!requested || !url) return config.siteUrl;
  const site = URL.parse(config.siteUrl);
  const sameHost = site !== null && url.protocol === site.protocol && url.hostname === site.hostname;
  if (sameHost && (url.port === site.port || isLoopback(url.hostname))) return requested;
  const target = requested.split("#")[0] ?? "";
  return config.additionalRedirectUrls.some((glob) => matchesGlob(glob, target)) ? requested : config.siteUrl;
}
